//! Clients that wait, in threads and processes of their own, against a server that runs its loop.
