import Cluster
import SeededRandom
import Testing

/// A spool's directory, its driver and its peer in simulated time. What happens is kept; every rule that holds always
/// is checked on the way.
final class SimulatedSpool {
    enum Outcome {
        case sent, deferred, refused
        /// The link breaks.
        case broken
    }

    var schedule: SpoolSchedule
    var now: Int64
    var directory: [String: SpoolEntry] = [:]
    /// What becomes of each message at a time.
    var peer: (SpoolEntry, Int64) -> Outcome = { _, _ in .sent }
    var random = SplitMix(seed: 1)
    /// How many are sent before the first is answered.
    var inFlightMax = 1
    /// Whether the driver says which message has come.
    var tellsArrivals = false
    private(set) var tries: [(time: Int64, name: String)] = []
    private(set) var ends: [String: String] = [:]
    private(set) var listings = 0
    private(set) var heldMax = 0
    private var hands: [SpoolEntry] = []

    init(_ settings: SpoolSettings, now: Int64 = 1_000_000) {
        schedule = SpoolSchedule(settings)
        self.now = now
    }

    func add(_ name: String, age: Int64 = 0, mailbox: String = "") {
        let entry = SpoolEntry(name: name, birth: now - age, bytes: 1, mailbox: mailbox)
        directory[name] = entry
        if tellsArrivals { schedule.arrived(entry) } else { schedule.arrived() }
    }

    /// Forgets all that is not on disk.
    func restart() {
        schedule = SpoolSchedule(schedule.settings)
        hands = []
    }

    /// Goes on until then; `each` is called at every instant.
    func run(until end: Int64, each: (SimulatedSpool) -> Void = { _ in }) {
        while now <= end {
            each(self)
            let wake = settle()
            guard let wake, wake <= end else {
                now = end
                return
            }
            #expect(wake > now, "a wait for the past")
            now = max(wake, now + 1)
        }
    }

    /// Does all that can be done at this instant.
    func settle() -> Int64? {
        for _ in 0..<2_000_000 {
            switch schedule.next(now: now) {
            case .send(let entry):
                note(entry)
                tries.append((now, entry.name))
                if hands.count >= inFlightMax { answer() }
            case .giveUp(let entry):
                #expect(schedule.linkRests(at: now))
                note(entry)
                hands.removeLast()
                end(entry, "given up")
            case .list: list()
            case .wait(let until):
                if hands.isEmpty { return until }
                answer()
            }
        }
        Issue.record("no end of steps at \(now)")
        return nil
    }

    private func note(_ entry: SpoolEntry) {
        if hands.contains(entry) || directory[entry.name] == nil { Issue.record("\(entry.name) twice") }
        hands.append(entry)
        #expect(schedule.inFlight == hands.count)
    }

    private func list() {
        listings += 1
        schedule.listingBegan(now: now)
        for entry in directory.values {
            schedule.offer(entry, now: now)
            heldMax = max(heldMax, schedule.held)
        }
        schedule.listingEnded(now: now)
        heldMax = max(heldMax, schedule.held)
    }

    private func answer() {
        let entry = hands.removeFirst()
        switch peer(entry, now) {
        case .sent:
            schedule.linkWorks()
            end(entry, "sent")
        case .refused: end(entry, "refused")
        case .deferred:
            schedule.linkWorks()
            if schedule.deferred(entry.name, now: now) == .giveUp { end(entry, "given up") }
        case .broken:
            for entry in [entry] + hands { schedule.interrupted(entry.name) }
            hands = []
            schedule.linkFailed(now: now, random: random.next())
        }
        heldMax = max(heldMax, schedule.held)
    }

    private func end(_ entry: SpoolEntry, _ how: String) {
        if ends[entry.name] != nil { Issue.record("\(entry.name) ended twice") }
        ends[entry.name] = how
        directory[entry.name] = nil
        schedule.gone(entry.name)
    }

    var triedNames: [String] { tries.map(\.name) }
    func times(_ name: String) -> [Int64] { tries.filter { $0.name == name }.map(\.time) }
}
