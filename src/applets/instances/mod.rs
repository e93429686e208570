//! Instances of one service definition: `s6-instance-*`.

use super::Applet;

pub(super) static APPLETS: &[Applet] = &[];
