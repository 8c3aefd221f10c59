import Synchronization

/// Lets one task wait until it is woken, or until its time comes. A call that comes before the wait is not lost.
final class WakeUp: Sendable {
    private enum State {
        case quiet
        case called
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.quiet)

    func wake() {
        let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if case .waiting(let task) = state {
                state = .quiet
                return task
            }
            state = .called
            return nil
        }
        waiting?.resume()
    }

    /// - Parameter time: nil to wait for a call alone. Cancellation is a call.
    func wait(for time: Duration?) async {
        let timer = time.map { time in
            Task {
                try? await Task.sleep(for: time)
                if !Task.isCancelled { wake() }
            }
        }
        defer { timer?.cancel() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { task in
                let isCalled = state.withLock { state in
                    if case .called = state {
                        state = .quiet
                        return true
                    }
                    state = .waiting(task)
                    return false
                }
                if isCalled { task.resume() }
            }
        } onCancel: {
            wake()
        }
    }
}
