/// What is going to happen, in the order of simulated time; of two events at one time the first that was added is first.
struct EventQueue {
    private struct Event {
        let time: SimulatedTime
        let order: Int
        let work: () -> Void
    }

    private(set) var now: SimulatedTime = 0
    private(set) var count = 0
    /// A binary heap.
    private var events: [Event] = []

    mutating func add(after delay: SimulatedTime, _ work: @escaping () -> Void) {
        count += 1
        events.append(Event(time: now + max(0, delay), order: count, work: work))
        var place = events.count - 1
        while place > 0, isBefore(place, (place - 1) / 2) {
            events.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// The next event's work; the time is its time now. Nil if nothing is going to happen any more.
    mutating func next() -> (() -> Void)? {
        guard !events.isEmpty else { return nil }
        events.swapAt(0, events.count - 1)
        let event = events.removeLast()
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < events.count && isBefore(child, least) {
                least = child
            }
            if least == place { break }
            events.swapAt(place, least)
            place = least
        }
        now = event.time
        return event.work
    }

    mutating func removeAll() { events = [] }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        (events[left].time, events[left].order) < (events[right].time, events[right].order)
    }
}
