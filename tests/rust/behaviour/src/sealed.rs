//! After the seal, calls still work and updates are refused. Runs last.

use static_call::{Batch, ErrorKind, StaticCall};

pub fn check() {
    keys::SCALE.update(keys::twice).unwrap();
    let sealed = static_call::seal();
    if static_call::process_info().sites > 0 {
        sealed.expect("all keys lie where they can be protected");
    } else {
        // Without the pass, C's keys lie anywhere.
        assert_eq!(sealed.unwrap_err().kind(), ErrorKind::NotProtected);
    }
    let error = keys::SCALE.update(keys::once).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sealed);
    assert!(error.to_string().contains("seal"), "{error}");
    let error = Batch::new([keys::SCALE.change(keys::once)]).commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sealed);
    assert_eq!((keys::here(10), keys::inlined(10)), (21, 22));
    assert_eq!(keys::SCALE.target() as usize, keys::twice as *const () as usize);
    crate::lazy::check_sealed();
}
