/// Decides what of a spool is sent next, and when: the oldest first, mailboxes in turns; what failed for now is tried
/// again by its age, and never holds up what is behind it; what is too old is given up. A link that fails rests as a
/// whole, and its messages with it. All times are seconds since 1970 in UTC.
///
/// The driver asks `next(now:)` and tells what happened. It lists the spool's directory when it is told to, and offers
/// every name of it; only a bounded number is kept.
package struct SpoolSchedule: Sendable {
    package enum Step: Hashable, Sendable {
        /// Send it; `sent`, `refused`, `deferred`, `gone` or `interrupted` follows.
        case send(SpoolEntry)
        /// It is too old, and the link is down: tell its sender, then say `gone`.
        case giveUp(SpoolEntry)
        /// List the directory: `listingBegan`, `offer` for each name, `listingEnded`.
        case list
        /// Nothing is to be done until then, or until something happens; nil: until something happens.
        case wait(until: Int64?)
    }

    /// What becomes of a message that failed for now.
    package enum Deferral: Hashable, Sendable {
        case keep, giveUp
    }

    private enum Listing {
        case forSending
        /// While the link rests: only what is too old is looked for.
        case forExpiry
    }

    package let settings: SpoolSettings
    private var window: SpoolWindow
    private var memory: SpoolMemory
    private var inHand: [String: SpoolEntry] = [:]
    private var listing: Listing?
    /// Names that were done with while the directory was listed: it may show them yet.
    private var goneMeanwhile: Set<String> = []
    /// Remembered names that the listing under way has shown.
    private var seen: Set<String> = []
    private var wantsListing = true
    private var nextListing: Int64 = .min
    /// Whether a run is under way; always with `.atOnce`.
    private var isRunning = false
    private var nextRun: Int64?
    /// What is too old while the link rests.
    private var expired: [SpoolEntry] = []
    private var failures = 0
    private var linkRestsUntil: Int64?
    package private(set) var isPaused = false

    package init(_ settings: SpoolSettings) {
        self.settings = settings
        window = SpoolWindow(max: settings.windowMax)
        memory = SpoolMemory(settings)
        if case .every = settings.trigger { nextRun = .min }
    }

    /// Messages that are being sent.
    package var inFlight: Int { inHand.count }
    /// Names that are held: it never passes the bounds of the settings and what is in flight.
    package var held: Int { window.held + memory.count + inHand.count + expired.count }
    /// Whether the link rests because it failed.
    package func linkRests(at now: Int64) -> Bool { linkRestsUntil.map { $0 > now } ?? false }

    package mutating func next(now: Int64) -> Step {
        if isPaused || listing != nil { return .wait(until: nil) }
        startRun(now)
        guard isRunning else { return .wait(until: nextRun) }
        if let until = linkRestsUntil, until > now { return whileLinkRests(until, now) }
        if let entry = expired.popLast() ?? window.next() {
            take(entry)
            return .send(entry)
        }
        if needsListing(now) { return .list }
        if settings.trigger == .atOnce { return .wait(until: min(nextListing, memory.nextDue ?? .max)) }
        if inHand.isEmpty { endRun(now) }
        return .wait(until: isRunning ? nil : nextRun)
    }

    // MARK: the directory

    package mutating func listingBegan(now: Int64) {
        precondition(listing == nil, "a listing within a listing")
        if let until = linkRestsUntil, until > now {
            listing = .forExpiry
        } else {
            listing = .forSending
            window.clear()
            memory.listingBegan(now: now)
            wantsListing = false
        }
    }

    /// A name that the directory has.
    package mutating func offer(_ entry: SpoolEntry, now: Int64) {
        if memory.remembers(entry.name) { seen.insert(entry.name) }
        guard inHand[entry.name] == nil, !goneMeanwhile.contains(entry.name) else { return }
        switch listing {
        case .forSending:
            if memory.isDue(entry, now: now) { window.find(entry, inTurns: !memory.isOverfull) }
        case .forExpiry:
            if isTooOld(entry, now), expired.count < settings.windowMax { expired.append(entry) }
        case nil: break
        }
    }

    package mutating func listingEnded(now: Int64) {
        precondition(listing != nil, "the end of no listing")
        nextListing = later(now, settings.listingInterval)
        // What ended while the directory was read may have been found before.
        var out = goneMeanwhile
        expired.removeAll { out.contains($0.name) }
        if listing == .forSending {
            let youngest = window.arrange(inTurns: !memory.isOverfull)
            memory.listingEnded(youngest: youngest, isCut: window.isCut, seen: seen.union(goneMeanwhile))
            wantsListing = wantsListing || window.isCut
        } else {
            out.formUnion(expired.map(\.name))
            expired.sort(by: >)
        }
        window.removeAll { out.contains($0.name) }
        listing = nil
        seen = []
        goneMeanwhile = []
    }

    /// A message has come into the spool. If it is told which, and all others are known, no listing is needed.
    package mutating func arrived(_ entry: SpoolEntry? = nil) {
        if let entry, isKnown(entry) { return }
        guard let entry, listing == nil, !wantsListing, isRunning, window.count < settings.windowMax else {
            wantsListing = true
            return
        }
        window.insert(entry)
    }

    /// Whether a listing has found it before it was told to have come: it would be sent twice.
    private func isKnown(_ entry: SpoolEntry) -> Bool {
        memory.remembers(entry.name) || inHand[entry.name] != nil || window.contains(entry)
            || expired.contains { $0.name == entry.name }
    }

    /// What the last listing told is not true any more: nothing is sent before there was another one.
    package mutating func distrust() {
        precondition(listing == nil, "distrust within a listing")
        window.clear()
        expired = []
        wantsListing = true
    }

    // MARK: what became of a message

    /// It was taken, or its sender was told, and its file is removed.
    package mutating func gone(_ name: String) {
        inHand[name] = nil
        if listing != nil { goneMeanwhile.insert(name) }
    }

    /// The peer put it off. One that is too old is to be given up: its sender is told, then `gone` is said; until then
    /// it stays in hand.
    package mutating func deferred(_ name: String, now: Int64) -> Deferral {
        guard let entry = inHand[name] else { return .keep }
        if isTooOld(entry, now) { return .giveUp }
        inHand[name] = nil
        memory.failed(entry, now: now)
        if listing != nil { goneMeanwhile.insert(name) }
        return .keep
    }

    /// The connection ended before its outcome was known: it is no fault of the message's, which is sent again first.
    package mutating func interrupted(_ name: String) {
        guard let entry = inHand.removeValue(forKey: name) else { return }
        if listing == .forSending { wantsListing = true } else { window.insert(entry) }
    }

    // MARK: the link

    /// The peer cannot be reached, or is not ready for mail.
    ///
    /// - Parameter random: 64 random bits.
    package mutating func linkFailed(now: Int64, random: UInt64) {
        failures = min(failures + 1, 1 << 20)
        // What is too old is looked for at once, and then from time to time.
        if linkRestsUntil == nil { nextListing = min(nextListing, now) }
        let rest = settings.reconnect.delay(failures: failures, random: random).components
        linkRestsUntil = later(now, max(1, rest.seconds + (rest.attoseconds > 0 ? 1 : 0)))
    }

    /// The peer has taken something.
    package mutating func linkWorks() {
        failures = 0
        linkRestsUntil = nil
    }

    // MARK: what the operator wants

    /// Everything is tried now, whatever failed before.
    package mutating func kick() {
        linkWorks()
        memory.forgetAll()
        isRunning = true
        wantsListing = true
    }

    package mutating func pause() { isPaused = true }

    package mutating func resume() { isPaused = false }

    // MARK: -

    private mutating func take(_ entry: SpoolEntry) {
        inHand[entry.name] = entry
        memory.forget(entry.name)
    }

    private mutating func startRun(_ now: Int64) {
        if isRunning { return }
        if settings.trigger == .atOnce {
            isRunning = true
        } else if let run = nextRun, run <= now {
            isRunning = true
            wantsListing = true
        }
    }

    private mutating func endRun(_ now: Int64) {
        isRunning = false
        if case .every(let interval) = settings.trigger { nextRun = later(now, max(1, interval)) }
    }

    /// The directory is listed again when the window is used up: if more was due, if something came, if a message is due
    /// again, or from time to time.
    private func needsListing(_ now: Int64) -> Bool {
        if wantsListing { return true }
        return settings.trigger == .atOnce && (nextListing <= now || memory.nextDue.map { $0 <= now } ?? false)
    }

    /// Nothing is tried, but what has become too old meanwhile is given up.
    private mutating func whileLinkRests(_ until: Int64, _ now: Int64) -> Step {
        guard settings.lifetime != nil else { return .wait(until: until) }
        if let entry = expired.popLast() {
            take(entry)
            return .giveUp(entry)
        }
        return nextListing <= now ? .list : .wait(until: min(until, nextListing))
    }

    private func isTooOld(_ entry: SpoolEntry, _ now: Int64) -> Bool {
        guard let lifetime = settings.lifetime else { return false }
        let (age, overflow) = now.subtractingReportingOverflow(entry.birth)
        return overflow ? now > entry.birth : age >= lifetime
    }

    private func later(_ now: Int64, _ seconds: Int64) -> Int64 {
        let (time, overflow) = now.addingReportingOverflow(max(0, seconds))
        return overflow ? .max : time
    }
}
