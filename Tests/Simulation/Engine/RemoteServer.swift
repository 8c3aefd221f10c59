import Mail

/// A server elsewhere, to which a relay brings what waits in its queue. It never dies, but has its moods.
final class RemoteServer: SimulatedProcess {
    private enum Mood { case fair, busy, deaf, mute }

    /// Takes a message or does not, and says so or does not.
    func receive(_ name: String, text: Int, reply: @escaping (Verdict) -> Void) {
        let mood =
            world.takesClients
            ? world.random.pick([.fair, .fair, .fair, .fair, .busy, .deaf, .mute]) : Mood.fair
        switch mood {
        case .deaf: return
        case .busy: return reply(StorageNode.deferred)
        case .fair, .mute: break
        }
        if text % Self.refusal == 0 {
            if mood == .fair { reply(.refused(Reason(550, "5.1.1", "nobody of that name"))) }
            return
        }
        note("takes \(name)\(mood == .mute ? ", and does not say so" : "")")
        world.tally.relayed += 1
        if world.relayed.takes(text) { world.tally.relayedAgain += 1 }
        if let complaint = world.relayed.complaint(of: text), isQuiet {
            world.complain("\(name): \(complaint)")
        }
        if mood == .mute { return world.relayed.unheard(text) }
        reply(.accepted)
    }

    /// Of so many texts it refuses one, each time that it comes.
    private static let refusal = 6

    /// Whether nothing else than its own moods keeps its answers from being heeded.
    private var isQuiet: Bool {
        world.scenario.isPeaceful && world.scenario.memberChanges == 0
            && world.scenario.clockErrorMax < .days(1)
    }
}

/// What became of texts that a relay was to bring to a server elsewhere.
struct RelayedMail {
    private var takings: [Int: Int] = [:]
    /// How often the server did not say that it took them.
    private var silences: [Int: Int] = [:]
    /// Those whose sender was told that they failed.
    private var failed: Set<Int> = []

    /// The server takes it. Whether it had it before.
    mutating func takes(_ text: Int) -> Bool {
        takings[text, default: 0] += 1
        return takings[text, default: 0] > 1
    }

    mutating func unheard(_ text: Int) { silences[text, default: 0] += 1 }
    mutating func failed(_ text: Int) { failed.insert(text) }

    /// Whether its sender need not wait any more.
    func isOver(_ text: Int) -> Bool { takings[text] != nil || failed.contains(text) }

    /// What is wrong with its being taken once more, if nothing but silence is a reason.
    func complaint(of text: Int) -> String? {
        if failed.contains(text) { return "sent after its sender was told that it failed" }
        return takings[text, default: 0] > 1 + silences[text, default: 0]
            ? "sent again after the server's 250" : nil
    }
}
