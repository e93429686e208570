//! Connections that somebody else is to have: accept4(2), and who is at the other end.
