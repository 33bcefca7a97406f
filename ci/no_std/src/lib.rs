//! Links `spec` into a static library that has its own panic handler. If anything that it links, at any depth,
//! pulled in std, the compiler would find two panic handlers and refuse.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::ptr::null_mut;

use spec::{Config, Durable, Effects, LocalTime, Paxos, Replica, ServerId, Span, Timer};

/// An allocator with nothing to give: the library is linked, never run.
struct Nothing;

// SAFETY: a null pointer is always a right answer to `alloc`, and no pointer exists that `dealloc` could get.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Keeps the handlers in the library: recovery and one input reach all of them.
#[unsafe(no_mangle)]
pub extern "C" fn stand_for_election(now: i64) -> bool {
    let mut effects = Effects::<u8>::new();
    let config = Config::new(ServerId(0), 3, Span(1_000));
    match Replica::recover(config, Paxos, Durable::default(), LocalTime(now), &mut effects) {
        Ok(mut replica) => {
            replica.timeout(Timer::Election, LocalTime(now), &mut effects);
            !effects.is_empty()
        }
        Err(_) => false,
    }
}
