//! Awaiting the GPU: a callback from wgpu turned into a future.
//!
//! Natively somebody must poll the device: the receiver does, blocking until it is answered. In the page the browser calls
//! back by itself and wakes the future.

use std::sync::{Arc, Mutex};
use std::task::Waker;

struct Shared<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

pub struct Sender<T>(Arc<Mutex<Shared<T>>>);

pub struct Receiver<T>(Arc<Mutex<Shared<T>>>);

pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(Shared { value: None, waker: None }));
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    pub fn send(self, value: T) {
        let waker = match self.0.lock() {
            Ok(mut shared) => {
                shared.value = Some(value);
                shared.waker.take()
            }
            // Only a panic while holding the lock poisons it, and nothing in here panics.
            Err(_) => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// `None` when the device cannot be waited for any more.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn receive(self, device: &wgpu::Device) -> Option<T> {
        loop {
            // One wait may end before the callback ran, on a driver that is slow to answer.
            device.poll(wgpu::PollType::wait_indefinitely()).ok()?;
            if let Some(value) = self.0.lock().ok()?.value.take() {
                return Some(value);
            }
        }
    }

    /// As `receive`, once the device has done a submission, whatever it was given since.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn receive_after(self, device: &wgpu::Device, submission: wgpu::SubmissionIndex) -> Option<T> {
        device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None }).ok()?;
        let value = self.0.lock().ok()?.value.take();
        if value.is_some() { value } else { self.receive(device).await }
    }

    #[cfg(target_arch = "wasm32")]
    pub async fn receive_after(self, device: &wgpu::Device, _: wgpu::SubmissionIndex) -> Option<T> {
        self.receive(device).await
    }

    #[cfg(target_arch = "wasm32")]
    pub async fn receive(self, _: &wgpu::Device) -> Option<T> {
        use std::task::Poll;
        std::future::poll_fn(|context| match self.0.lock() {
            Ok(mut shared) => match shared.value.take() {
                Some(value) => Poll::Ready(Some(value)),
                None => {
                    shared.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            },
            Err(_) => Poll::Ready(None),
        })
        .await
    }
}

/// Gives way once to whatever else is polled with this.
pub async fn yield_now() {
    let mut gave_way = false;
    std::future::poll_fn(|context| match std::mem::replace(&mut gave_way, true) {
        true => std::task::Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        }
    })
    .await;
}
