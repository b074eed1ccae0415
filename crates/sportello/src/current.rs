//! What a reload replaces, as sessions on one worker hold it: they ask for it again at each request.
//!
//! Asking costs one count up and, when the request is answered, one down. Whoever has asked keeps what was given: so a request
//! that is under way ends with the configuration it began with.

use std::cell::RefCell;
use std::rc::Rc;

/// A place for the `T` of now. Clones are the same place.
#[derive(Debug)]
pub struct Current<T>(Rc<RefCell<Rc<T>>>);

impl<T> Current<T> {
    /// A place for `value`.
    pub fn new(value: T) -> Self {
        Rc::new(value).into()
    }

    /// The one of now.
    pub fn now(&self) -> Rc<T> {
        Rc::clone(&self.0.borrow())
    }

    /// Replaces `held` where that is not the one of now; whether it did.
    pub fn renew(&self, held: &mut Rc<T>) -> Renewed {
        let now = self.0.borrow();
        if Rc::ptr_eq(held, &now) {
            return Renewed::No;
        }
        *held = Rc::clone(&now);
        Renewed::Yes
    }

    /// From now on it is `value`.
    pub fn set(&self, value: T) {
        self.0.replace(Rc::new(value));
    }

    /// Whether nobody else has this place.
    pub fn is_alone(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

/// Whether what was held is another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> From<Rc<T>> for Current<T> {
    fn from(value: Rc<T>) -> Self {
        Self(Rc::new(RefCell::new(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_asked_keeps_it_until_asking_again() {
        let place = Current::new(1);
        let session = place.clone();
        let mut held = session.now();
        assert!(!place.is_alone());
        assert_eq!(session.renew(&mut held), Renewed::No);
        place.set(2);
        assert_eq!((*held, *session.now()), (1, 2));
        assert_eq!((session.renew(&mut held), *held), (Renewed::Yes, 2));
        drop(session);
        assert!(place.is_alone());
    }
}
