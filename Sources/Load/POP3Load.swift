/// Reads maildrops by POP3, session after session.
package struct POP3Load: Sendable {
    /// What a session does between login and QUIT.
    package enum Task: String, Sendable, CaseIterable {
        /// STAT only.
        case login
        /// STAT, LIST and UIDL.
        case list
        /// UIDL and every message.
        case retr
        /// The same, and every message that was read is deleted.
        case retrDele = "retr+dele"
    }

    package var target: LoadTarget
    package var amount: LoadAmount
    /// Who logs in, by turns.
    package var users: NamePattern
    /// Their passwords, with the same numbers.
    package var passwords: NamePattern
    package var task: Task
    /// Whether commands are sent ahead of their replies (RFC 2449 §6.6).
    package var pipelines: Bool

    package init(
        target: LoadTarget, amount: LoadAmount, users: NamePattern, passwords: NamePattern, task: Task, pipelines: Bool
    ) {
        self.target = target
        self.amount = amount
        self.users = users
        self.passwords = passwords
        self.task = task
        self.pipelines = pipelines
    }

    /// Runs to its end. `tally` may be looked at meanwhile.
    /// - Parameter found: called, from several threads, with every message that was read and whose maildrop it was in.
    package func run(
        tally: LoadTally, found: (@Sendable (_ user: String, _ message: [UInt8]) -> Void)? = nil
    ) async throws {
        try await LoadLoops.run(amount: amount) { place in
            POP3LoadLoop(place: place, load: self, tally: tally, found: found)
        }
    }
}
