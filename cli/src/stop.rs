//! SIGTERM and SIGINT end long work between two of its steps, so that it can take away what it has
//! left lying about.

use super::progress::Progress;
use std::io::{self, Read, Write};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// From now on signals end nothing by themselves.
    pub fn on_signals(runtime: &Runtime) -> Self {
        let (told, stop) = watch::channel(false);
        runtime.spawn(async move {
            let (Ok(mut terminate), Ok(mut interrupt)) = (
                signal(SignalKind::terminate()),
                signal(SignalKind::interrupt()),
            ) else {
                return;
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _nobody_waits = told.send(true);
        });
        Self(stop)
    }

    /// Moves a bar on by bytes, and fails once a signal came.
    pub fn advance<'a>(&'a self, progress: &'a Progress) -> impl FnMut(u64) -> io::Result<()> + 'a {
        |bytes| {
            progress.add(bytes);
            if *self.0.borrow() {
                Err(stopped())
            } else {
                Ok(())
            }
        }
    }

    /// Awaits, unless a signal comes first.
    pub async fn or<T, E: From<io::Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut stop = self.0.clone();
        let told = async {
            if stop.wait_for(|told| *told).await.is_err() {
                // Signals cannot be had: it ends by itself or as the system pleases.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            done = work => done,
            () = told => Err(stopped().into()),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("stopped by a signal")
}

/// Another program's input or output, waited for by this thread.
#[derive(Debug)]
pub struct Awaited<'a, T> {
    pub runtime: &'a Runtime,
    pub stop: &'a Stop,
    pub io: T,
}

impl<T: AsyncRead + Unpin> Read for Awaited<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stop.or(self.io.read(bytes)))
    }
}

impl<T: AsyncWrite + Unpin> Write for Awaited<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stop.or(self.io.write(bytes)))
    }
    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.stop.or(self.io.flush()))
    }
}
