//! /etc/passwd and /etc/group, line by line: passwd(5), group(5).

use super::number::parse_u32;

/// What a passwd line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
}

/// The user that a passwd line describes, if it is `name`'s.
pub fn user(line: &[u8], name: &[u8]) -> Option<User> {
    let mut fields = line.split(|b| *b == b':');
    if fields.next()? != name || name.is_empty() {
        return None;
    }
    let _password = fields.next()?;
    Some(User { uid: parse_u32(fields.next()?)?, gid: parse_u32(fields.next()?)? })
}

/// The user that a passwd line describes, if its id is `uid`.
pub fn user_of_id(line: &[u8], uid: u32) -> Option<User> {
    user(line, line.split(|b| *b == b':').next()?).filter(|user| user.uid == uid)
}

/// The name of the group that a group line describes, if its id is `gid`.
pub fn name_of_group(line: &[u8], gid: u32) -> Option<&[u8]> {
    let name = line.split(|b| *b == b':').next()?;
    (group(line, name)? == gid).then_some(name)
}

/// The group id that a group line gives, if it is `name`'s.
pub fn group(line: &[u8], name: &[u8]) -> Option<u32> {
    let mut fields = line.split(|b| *b == b':');
    if fields.next()? != name || name.is_empty() {
        return None;
    }
    let _password = fields.next()?;
    parse_u32(fields.next()?)
}

/// The group id that a group line gives, if `user` is one of its members.
pub fn membership(line: &[u8], user: &[u8]) -> Option<u32> {
    let mut fields = line.split(|b| *b == b':');
    let (_name, _password) = (fields.next()?, fields.next()?);
    let gid = parse_u32(fields.next()?)?;
    let listed = fields.next()?.split(|b| *b == b',').any(|member| member == user);
    (listed && !user.is_empty()).then_some(gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_answer_for_their_own_name_only() {
        let line = b"www-data:x:33:34:www-data:/var/www:/usr/sbin/nologin";
        assert_eq!(user(line, b"www-data"), Some(User { uid: 33, gid: 34 }));
        assert_eq!(user(line, b"www"), None);
        assert_eq!(user(b"::0:0:", b""), None);
        assert_eq!(user(b"broken:x:-1:0", b"broken"), None);
    }

    #[test]
    fn ids_find_their_lines() {
        assert_eq!(user_of_id(b"www:x:33:34::/:", 33), Some(User { uid: 33, gid: 34 }));
        assert_eq!(user_of_id(b"www:x:33:34::/:", 34), None);
        assert_eq!(name_of_group(b"audio:x:29:www", 29), Some(&b"audio"[..]));
        assert_eq!(name_of_group(b"audio:x:29:www", 33), None);
        assert_eq!(name_of_group(b":x:29:", 29), None);
    }

    #[test]
    fn membership_needs_the_whole_name() {
        let line = b"audio:x:29:pulse,www-data";
        assert_eq!(group(line, b"audio"), Some(29));
        assert_eq!(membership(line, b"www-data"), Some(29));
        assert_eq!(membership(line, b"www"), None);
        assert_eq!(membership(b"audio:x:29:", b""), None);
    }
}
