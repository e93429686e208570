//! Time zones: tzfile(5) and the TZ variable. Pure.
