//! Who a process is to become, as commands of several groups are told: by numbers, or by the variables UID, GID and GIDLIST.

use super::cli::{Cli, USAGE as WRONG};
use crate::limits::ACCOUNT_GROUPS;
use crate::sys::identity;
use crate::text::number::parse_u32;
use heapless::Vec;

/// The variables that say who somebody is.
pub const VARIABLES: [&[u8]; 3] = [b"UID", b"GID", b"GIDLIST"];

/// Further groups.
pub type Groups = Vec<u32, ACCOUNT_GROUPS>;

/// Who to be.
#[derive(Default)]
pub struct Identity {
    /// User; 0: as before.
    pub uid: u32,
    /// Primary group; 0: as before.
    pub gid: u32,
    /// All further groups; `None`: as before.
    pub groups: Option<Groups>,
}

/// Numbers with commas between them. `None`: something else is in it, or more than [`ACCOUNT_GROUPS`].
pub fn parse_groups(list: &[u8]) -> Option<Groups> {
    let mut groups = Groups::new();
    for word in list.split(|byte| *byte == b',').filter(|word| !word.is_empty()) {
        groups.push(parse_u32(word)?).ok()?;
    }
    Some(groups)
}

/// Who the three variables say that one is to be. Errors are exit codes; what is wrong has been said.
pub fn from_environment(cli: &Cli) -> Result<Identity, i32> {
    let [uid, gid, groups] = VARIABLES.map(|name| {
        let text = core::str::from_utf8(name).unwrap_or_default();
        match cli.env().get(name) {
            Some(value) => Ok((text, value.to_bytes())),
            None => Err(cli.refuse(format_args!("{text} not set"))),
        }
    });
    let number = |(name, value)| parse_u32(value).ok_or_else(|| invalid(cli, name));
    let (uid, gid) = (number(uid?)?, number(gid?)?);
    let (name, list) = groups?;
    let groups = parse_groups(list).ok_or_else(|| invalid(cli, name))?;
    Ok(Identity { uid, gid, groups: Some(groups) })
}

fn invalid(cli: &Cli, name: &str) -> i32 {
    cli.refuse(format_args!("invalid ${name}"));
    WRONG
}

/// Becomes somebody else, for good. Errors are exit codes; what went wrong has been said.
pub fn take_on(cli: &Cli, Identity { uid, gid, groups }: Identity) -> Result<(), i32> {
    if let Some(further) = groups {
        let mut all = Vec::<u32, { ACCOUNT_GROUPS + 1 }>::new();
        let _ = all.push(gid);
        all.extend(further.into_iter().filter(|group| *group != gid));
        identity::set_groups(&all).map_err(|e| cli.unable("set supplementary group list", e))?;
    }
    if gid != 0 {
        identity::set_gid(gid).map_err(|e| cli.unable("setgid", e))?;
    }
    if uid != 0 {
        identity::set_uid(uid).map_err(|e| cli.unable("setuid", e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_groups_is_numbers_with_commas() {
        let parse = |list: &str| parse_groups(list.as_bytes()).map(|groups| groups.to_vec());
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse("7"), Some(vec![7]));
        assert_eq!(parse("7,8,"), Some(vec![7, 8]));
        for bad in ["7,x", "x", "7 8", "4294967296"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse(&"1,".repeat(ACCOUNT_GROUPS + 1)), None);
    }
}
