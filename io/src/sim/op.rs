//! The life of one disk operation: it begins (draws, faults, the set a sync takes), waits, and completes, unless
//! its boot ends first; then it stays pending for ever.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::clock::world_sleep;
use super::config::SimConfig;
use super::crash::CrashKind;
use super::fault::OpFault;
use super::host::HostShared;
use super::names::NodeId;
use super::num::{below, mix};
use super::probe::trace_kind;
use super::state::DiskState;
use crate::{DiskError, DiskOp};

/// What one boot needs to reach its host.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) host: Arc<HostShared>,
    pub(crate) boot: u64,
}

/// What an operation is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) op: DiskOp,
    /// The open file, or none for operations on names.
    pub(crate) node: Option<NodeId>,
    pub(crate) path: &'a Path,
    /// Bytes moved.
    pub(crate) bytes: u64,
}

/// What was decided when an operation began.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) op: DiskOp,
    /// Key of all further draws of this operation.
    pub(crate) key: u64,
    /// Changes before this number were there when the operation began.
    pub(crate) seq: u64,
    pub(crate) fault: Option<OpFault>,
    wait: Duration,
    yields: u32,
    /// The boot ends before this operation has any effect.
    crash: Option<CrashKind>,
}

/// How much of a waiting operation happens before it waits; seen only if it is dropped or its host crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Early {
    Nothing,
    /// This many of 1,000 bytes.
    Part(u64),
    All,
}

impl Plan {
    pub(crate) fn new(op: DiskOp, key: u64, seq: u64, fault: Option<OpFault>) -> Self {
        Self { op, key, seq, fault, wait: Duration::ZERO, yields: 0, crash: None }
    }

    #[must_use]
    pub(crate) fn waiting(mut self, wait: Duration, yields: u32) -> Self {
        self.wait = wait;
        self.yields = yields;
        self
    }

    #[must_use]
    pub(crate) fn crashing(mut self, crash: Option<CrashKind>) -> Self {
        self.crash = crash;
        self
    }

    pub(crate) fn waits(&self) -> bool {
        self.yields > 0 || self.wait > Duration::ZERO
    }

    /// How much happens before the wait.
    pub(crate) fn early(&self) -> Early {
        if !self.waits() || self.fault.is_some() {
            return Early::Nothing;
        }
        match below(mix(self.key, 0x6561), 4) {
            0 => Early::All,
            1 => Early::Part(below(mix(self.key, 0x7072), 1_000)),
            _ => Early::Nothing,
        }
    }

    pub(crate) async fn wait(&self) {
        for _ in 0..self.yields {
            tokio::task::yield_now().await;
        }
        if self.wait > Duration::ZERO {
            world_sleep(self.wait).await;
        }
    }
}

impl Door {
    /// Runs one operation: `apply` happens at its completion, or before its wait by a draw.
    pub(crate) async fn perform<T>(
        &self,
        subject: Subject<'_>,
        apply: impl FnOnce(&mut DiskState, &Plan) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let plan = self.begin(subject).await;
        if plan.early() == Early::All && moves_early(subject.op) {
            let result = self.apply_early(&plan, apply).await;
            plan.wait().await;
            return self.complete(&plan, |_, _| result).await;
        }
        plan.wait().await;
        self.complete(&plan, apply).await
    }

    /// Draws what becomes of an operation.
    pub(crate) async fn begin(&self, subject: Subject<'_>) -> Plan {
        let world_ns =
            if self.host.disk().looks_at_time() { self.host.clock.world_ns() } else { 0 };
        let plan = self.host.disk().begin(self.boot, subject, world_ns);
        match plan {
            Some(plan) => plan,
            None => pending().await,
        }
    }

    pub(crate) async fn apply_early<T>(
        &self,
        plan: &Plan,
        apply: impl FnOnce(&mut DiskState, &Plan) -> T,
    ) -> T {
        let result = {
            let mut state = self.host.disk();
            if state.is_running(self.boot) { Some(apply(&mut state, plan)) } else { None }
        };
        match result {
            Some(result) => result,
            None => pending().await,
        }
    }

    /// Completes an operation, or crashes the host at this very point, or stays pending with its dead boot.
    pub(crate) async fn complete<T>(
        &self,
        plan: &Plan,
        apply: impl FnOnce(&mut DiskState, &Plan) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        match self.try_complete(plan, apply) {
            Some(result) => result,
            None => pending().await,
        }
    }

    fn try_complete<T>(
        &self,
        plan: &Plan,
        apply: impl FnOnce(&mut DiskState, &Plan) -> Result<T, DiskError>,
    ) -> Option<Result<T, DiskError>> {
        self.host.crash_if_time();
        let mut state = self.host.disk();
        if !state.is_running(self.boot) {
            return None;
        }
        let due: Option<CrashKind> = plan.crash.or(state.crash_due_at(plan.op));
        let takes_effect = plan.crash.is_none() && below(mix(plan.key, 0x6372), 2) == 0;
        if due.is_none() || takes_effect {
            let result = apply(&mut state, plan);
            if due.is_none() {
                drop(state);
                self.trace(plan, result.as_ref().err());
                return Some(result);
            }
        }
        if let Some(kind) = due {
            state.crash(kind);
            drop(state);
            self.host.boot_ended(kind);
        }
        None
    }
}

impl Door {
    /// Adds a completed operation to the trace, if those are wanted there.
    fn trace(&self, plan: &Plan, error: Option<&DiskError>) {
        if self.host.probe.wants_disk_ops() {
            let errno = error.map_or(0, |error| error.errno.unwrap_or(-1));
            let errno = u64::try_from(errno).unwrap_or(u64::MAX);
            let time_us = self.host.clock.world_ns() / 1_000;
            let fields = [("key", plan.key), ("errno", errno)];
            self.host.probe.record(time_us, trace_kind(plan.op), &fields);
        }
    }
}

/// Operations whose effect may precede their answer. A sync is durable at its completion, and an open hands out a
/// handle.
fn moves_early(op: DiskOp) -> bool {
    match op {
        DiskOp::CreateDir
        | DiskOp::Rename
        | DiskOp::Remove
        | DiskOp::Allocate
        | DiskOp::Zero
        | DiskOp::SetLen => true,
        DiskOp::Open
        | DiskOp::List
        | DiskOp::SyncDir
        | DiskOp::Space
        | DiskOp::Lock
        | DiskOp::Read
        | DiskOp::Write
        | DiskOp::Sync
        | DiskOp::Len => false,
    }
}

/// What the draws of an operation need besides the operation.
pub(crate) struct Pace {
    pub(crate) yield_one_in: u32,
    pub(crate) slow_factor: u32,
    pub(crate) stalled: Duration,
}

/// Waiting time of an operation, and how often it steps back.
pub(crate) fn pace(config: &SimConfig, key: u64, bytes: u64, pace: &Pace) -> (Duration, u32) {
    let one_in = u64::from(pace.yield_one_in);
    let mut yields = u32::from(one_in > 1 && below(mix(key, 0x7969), one_in) == 0);
    let mut wait = pace.stalled;
    if let Some(latency) = &config.latency {
        let tail = below(mix(key, 0x7461), 1_024);
        let micros = latency.base_us
            + (latency.per_mib_us.saturating_mul(bytes) >> 20)
            + (latency.tail_us.saturating_mul(tail * tail * tail) >> 30);
        // The runtime's timers tick in milliseconds: less than one is one by chance, or a step back.
        let rest = u64::from(below(mix(key, 0x6d73), 1_000) < micros % 1_000);
        wait += Duration::from_millis(micros / 1_000 + rest);
        yields = yields.max(1);
    }
    if pace.slow_factor > 1 {
        let least = Duration::from_millis(u64::from(pace.slow_factor));
        wait = wait.saturating_mul(pace.slow_factor).max(least);
    }
    (wait, yields)
}
