//! Models of a key's two words: one writer, as the runtime's lock has it, and readers without a lock.
//!
//! loom runs them in every order, with every value that a load may give.

extern crate std;

use std::vec::Vec;

use loom::sync::Arc;
use loom::thread;

use loom::sync::atomic::{AtomicPtr, AtomicU32};

use crate::{Form, Key, VERSION};

const OFF: usize = 1;
const ONE: usize = 2;
const OTHER: usize = 3;

type State = (usize, Form);

/// A key in its first state goes through the others while readers load it.
///
/// What a reader finds has to be a state that the key was in, in their order. While a key goes off or on, its
/// target may still be, or be already, the function of the state that is on.
fn check(states: &'static [State], readers: usize, loads: usize) {
    let mut builder = loom::model::Builder::new();
    // So many times a thread may be interrupted where it could go on: not all orders can be tried in time.
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let (target, form) = states[0];
        let key = Arc::new(key(target, form));
        let readers: Vec<_> = (0..readers)
            .map(|_| {
                let key = key.clone();
                thread::spawn(move || {
                    let mut since = 0;
                    for _ in 0..loads {
                        let (target, form) = key.load();
                        let found = (target.addr(), form);
                        let is_off = |state: State| state.1.is_none();
                        let fits = |at: &usize| match states[*at] {
                            state if is_off(state) => form.is_none(),
                            state => found == state,
                        };
                        since = (since..states.len())
                            .find(fits)
                            .unwrap_or_else(|| panic!("{found:?} after {:?}", states[since]));
                    }
                })
            })
            .collect();
        for &(target, form) in &states[1..] {
            key.store(pointer(target), form);
        }
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(
            key.load(),
            (pointer(states[states.len() - 1].0).cast_const(), states[states.len() - 1].1)
        );
    });
}

fn key(target: usize, form: Form) -> Key {
    Key {
        target: AtomicPtr::new(pointer(target)),
        records: AtomicPtr::new(core::ptr::null_mut()),
        off: pointer(OFF).cast(),
        name: core::ptr::null(),
        form: AtomicU32::new(form as u32),
        flags: Form::Nop as u32 | (VERSION << 16),
    }
}

fn pointer(address: usize) -> *mut () {
    core::ptr::without_provenance_mut(address)
}

#[test]
fn two_readers_while_a_key_goes_on_and_to_another_target() {
    check(&[(OFF, Form::Nop), (ONE, Form::Call), (OTHER, Form::Call)], 2, 1);
}

#[test]
fn a_key_goes_on_and_off() {
    check(&[(ONE, Form::Call), (OFF, Form::Nop), (ONE, Form::Call)], 1, 2);
}

/// Its target is the same at both ends, and was not in between.
#[test]
fn a_key_is_on_for_a_moment() {
    check(&[(OFF, Form::Nop), (ONE, Form::Call), (OFF, Form::Nop)], 2, 1);
}

/// It becomes a pointer between two stores, and stays one.
#[test]
fn a_key_becomes_a_pointer() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let key = Arc::new(key(ONE, Form::Call));
        let reader = {
            let key = key.clone();
            thread::spawn(move || {
                let was_pointer = key.is_pointer();
                let found = key.load();
                let states = [(ONE, Form::Call), (OTHER, Form::Call), (OFF, Form::Nop)];
                let is_one = states.contains(&(found.0.addr(), found.1)) || found.1.is_none();
                assert!(is_one, "{found:?}");
                assert!(!was_pointer || (key.is_pointer() && found.0.addr() != ONE));
            })
        };
        key.store(pointer(OTHER), Form::Call);
        key.make_pointer();
        key.store(pointer(OFF), Form::Nop);
        assert!(key.is_pointer() && !key.is_new());
        reader.join().unwrap();
    });
}
