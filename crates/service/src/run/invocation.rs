//! One run of a program, as asked for.

use std::net::SocketAddr;

use bytes::Bytes;

use super::program::Limits;
use crate::failure::{Class, Failure};

/// One run of a program, as asked for.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The program's name; letters of either case.
    pub program: String,
    /// What the client sent behind the name: it fills the program's template, byte for byte.
    pub arguments: Vec<Vec<u8>>,
    /// What the program reads on its standard input.
    pub stdin: Bytes,
    /// Who asks.
    pub peer: SocketAddr,
    /// The id of the request: the connection's, a dot, the request's number on it.
    pub request: String,
}

impl Invocation {
    /// Refuses arguments that no program may be given; what a program of its own takes, its template says.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Failure> {
        let bytes: usize = self.arguments.iter().map(|argument| argument.len().saturating_add(1)).sum();
        if bytes > limits.arguments {
            return Err(Failure::new(Class::TooLarge, format!("arguments take more than {} bytes", limits.arguments)));
        }
        if self.stdin.len() > limits.stdin {
            return Err(Failure::new(Class::TooLarge, format!("input takes more than {} bytes", limits.stdin)));
        }
        for argument in &self.arguments {
            if argument.contains(&0) {
                return Err(Failure::new(Class::BadRequest, "an argument holds a NUL byte"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&[u8]], stdin: usize) -> Option<Class> {
        let limits = Limits { arguments: 10, stdin: 4, ..Limits::default() };
        let invocation = Invocation {
            program: "p".to_owned(),
            arguments: arguments.iter().map(|argument| argument.to_vec()).collect(),
            stdin: Bytes::from(vec![0; stdin]),
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            request: "1.1".to_owned(),
        };
        invocation.check(&limits).err().map(|failure| failure.class)
    }

    #[test]
    fn arguments_that_are_refused() {
        assert_eq!(check(&[], 0), None);
        assert_eq!(check(&[b"", b";", b"a-b", b"\xff\n"], 0), None);
        assert_eq!(check(&[b"a\0"], 0), Some(Class::BadRequest));
    }

    #[test]
    fn bounds_at_their_value_and_one_above() {
        assert_eq!(check(&[b"1234", b"1234"], 0), None);
        assert_eq!(check(&[b"1234", b"12345"], 0), Some(Class::TooLarge));
        assert_eq!(check(&[], 4), None);
        assert_eq!(check(&[], 5), Some(Class::TooLarge));
    }
}
