//! The run image: service templates, copied to the scan directory on tmpfs at every boot, so that services can be
//! changed at run time on a read-only root, and a reboot brings back what was shipped.

use crate::sys::{Fd, Result, dir, file, tree};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::warning;
use core::ffi::CStr;
use core::ops::ControlFlow;

/// Copies everything below `from` into the directory `to`, which exists. What cannot be copied is reported; the rest is.
/// Answers how many services there were (entries at the top that do not begin with a dot). ENOENT: there is no `from`.
pub fn copy(from: &CStr, to: Fd) -> Result<usize> {
    let mut source = file::open_dir(Fd::CWD, from)?;
    let mut count = 0;
    let done = dir::visit(source, c".", |name, _| {
        count += usize::from(!name.to_bytes().starts_with(b"."));
        ControlFlow::Continue(())
    })
    .and_then(|()| {
        tree::copy(source, to, &mut |path, e| {
            warning!("run image: cannot copy {}: {}", Printable(path), Reason(e));
        })
    });
    source.close();
    done.map(|()| count)
}
