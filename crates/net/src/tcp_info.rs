//! What the kernel says of one TCP connection.

use std::os::fd::{AsRawFd, RawFd};

use crate::sys;

/// The part of `TCP_INFO` (linux/tcp.h) that tells how a connection fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time, microseconds.
    pub rtt_us: u32,
    /// Mean deviation of the round-trip time, microseconds.
    pub rtt_variance_us: u32,
    /// Least round-trip time seen, microseconds.
    pub min_rtt_us: u32,
    /// Segments sent again since the beginning.
    pub retransmits: u32,
    /// Congestion window, segments.
    pub congestion_window: u32,
    /// Largest segment we send, bytes.
    pub segment_size: u32,
    /// What the path delivered lately, bytes per second.
    pub delivery_rate: u64,
    /// Payload bytes sent, repeats included.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// The window that the peer offers, bytes.
    pub send_window: u32,
}

impl TcpInfo {
    /// Asks the kernel about a socket; `None` when it is not a connected TCP socket.
    pub fn of(socket: &impl AsRawFd) -> Option<Self> {
        Self::of_raw(socket.as_raw_fd())
    }

    pub(crate) fn of_raw(socket: RawFd) -> Option<Self> {
        let raw = sys::tcp_info(socket)?;
        // The kernel says "not measured yet" with the largest number.
        let min_rtt_us = if raw.min_rtt == u32::MAX { 0 } else { raw.min_rtt };
        Some(Self {
            rtt_us: raw.rtt,
            rtt_variance_us: raw.rttvar,
            min_rtt_us,
            retransmits: raw.total_retrans,
            congestion_window: raw.snd_cwnd,
            segment_size: raw.snd_mss,
            delivery_rate: raw.delivery_rate,
            bytes_sent: raw.bytes_sent,
            bytes_received: raw.bytes_received,
            send_window: raw.snd_wnd,
        })
    }
}
