//! Fifodirs: making them, telling and listening there.

use super::Applet;

pub(super) static APPLETS: &[Applet] = &[];
