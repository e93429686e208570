//! Super-servers: accept connections at standard input and run a program for each.
