/// Which waiting messages are due: those that were not tried yet, and those whose back-off is over. Nothing of it is
/// stored; after a restart every message is tried once.
///
/// While more messages have failed than can be remembered, the others go by their births alone: the tries of a message
/// lie at fixed times after its birth, and it is due if one of them lies between the last pass through the spool and now.
struct SpoolMemory: Sendable {
    private let settings: SpoolSettings
    private var dueTimes: [String: Int64] = [:]
    /// Whether messages have failed that are not remembered.
    private(set) var isOverfull = false
    /// When the last whole pass through the spool began: what was due then was tried. Of the overfull memory alone.
    private var passed: Int64 = .min
    private var passBegin: Int64?
    /// How far the pass under way has come.
    private var cursor: SpoolEntry?

    init(_ settings: SpoolSettings) { self.settings = settings }

    var count: Int { dueTimes.count }
    /// When the next remembered message is due.
    var nextDue: Int64? { dueTimes.values.min() }

    /// A message was tried in vain. While the memory is full it goes by its birth, after a pass over all that is due.
    mutating func failed(_ entry: SpoolEntry, now: Int64) {
        if dueTimes[entry.name] == nil, dueTimes.count >= settings.deferredMax {
            if !isOverfull {
                isOverfull = true
                passed = .min
                passBegin = nil
                cursor = nil
            }
            return
        }
        dueTimes[entry.name] = settings.backoff.nextTry(birth: entry.birth, now: now)
    }

    mutating func forget(_ name: String) { dueTimes[name] = nil }

    /// Everything is due.
    mutating func forgetAll() {
        dueTimes = [:]
        isOverfull = false
        cursor = nil
        passBegin = nil
    }

    func isDue(_ entry: SpoolEntry, now: Int64) -> Bool {
        if let due = dueTimes[entry.name] { return due <= now }
        guard isOverfull else { return true }
        if let cursor, entry <= cursor { return false }
        return entry.birth > passed || hasTry(entry.birth, after: passed, upTo: passBegin ?? now)
    }

    mutating func listingBegan(now: Int64) {
        if isOverfull, passBegin == nil { passBegin = now }
    }

    /// - Parameters:
    ///   - youngest: the youngest message that the listing's window holds.
    ///   - isCut: whether due messages are left.
    ///   - seen: the remembered messages that are there yet; the others are forgotten.
    mutating func listingEnded(youngest: SpoolEntry?, isCut: Bool, seen: Set<String>) {
        for name in dueTimes.keys where !seen.contains(name) { dueTimes[name] = nil }
        guard isOverfull else { return }
        if isCut {
            cursor = youngest ?? cursor
            return
        }
        passed = passBegin ?? passed
        passBegin = nil
        cursor = nil
        if dueTimes.count < settings.deferredMax / 2 { isOverfull = false }
    }

    func remembers(_ name: String) -> Bool { dueTimes[name] != nil }

    /// Whether birth + (k · step)² lies in the span for a whole k.
    private func hasTry(_ birth: Int64, after: Int64, upTo: Int64) -> Bool {
        let (age, overflow) = upTo.subtractingReportingOverflow(birth)
        guard !overflow, age >= 0 else { return false }
        let step = Double(settings.backoff.step)
        let tries = (Double(age).squareRoot() / step).rounded(.down)
        let last = Double(birth) + tries * step * tries * step
        return last > Double(after)
    }
}
