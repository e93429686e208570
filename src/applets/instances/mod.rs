//! Instances of one service definition: `s6-instance-*`.

mod life;
mod maker;

use super::{Applet, s6};

const CREATE: &str = "[-d | -D] [-f] [-P] [-t timeout] servicedir name";
const CONTROL: &str = "[-wu | -wU | -wd | -wD | -wr | -wR] [-T timeout] [-s signal] [-abqhkti12pcyrlPCKoduDUxOQ] \
                       servicedir name";
const STATUS: &str = "[-uwNrpgest | -o field,...] [-n] servicedir name";

/// Its commands.
pub static APPLETS: &[Applet] = &[
    s6("instance-maker", maker::USAGE, "makes a service directory for instances of a template", maker::maker),
    s6("instance-create", CREATE, "makes and starts an instance", life::create),
    s6("instance-delete", "[-X] [-t timeout] servicedir name", "stops and removes an instance", life::delete),
    s6("instance-control", CONTROL, "sends commands to an instance", life::control),
    s6("instance-status", STATUS, "tells the status of an instance", life::status),
    s6("instance-list", "servicedir", "lists the instances", life::list),
];
