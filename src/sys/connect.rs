//! Connections made: connect(2) to paths and IP addresses, with a deadline.
