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
    fn membership_needs_the_whole_name() {
        let line = b"audio:x:29:pulse,www-data";
        assert_eq!(group(line, b"audio"), Some(29));
        assert_eq!(membership(line, b"www-data"), Some(29));
        assert_eq!(membership(line, b"www"), None);
        assert_eq!(membership(b"audio:x:29:", b""), None);
    }
}
