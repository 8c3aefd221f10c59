import Mail

/// Hands over what waits on a node for others, as the real one's `HandoffDrain` does.
struct HandoffDrain {
    private let node: StorageNode

    init(_ node: StorageNode) { self.node = node }

    /// Brings what waits in one mailbox, for whomever, to an owner that asks for it. Tells whether all of it was taken.
    func drain(_ mailbox: Int, to asker: Int, then: @escaping (Bool) -> Void) {
        node.heard(asker)
        var isWhole = true
        let targets = node.disk.targets
        let countdown = Countdown(targets.count) { then(isWhole) }
        for target in targets {
            drain(mailbox, for: target, to: asker) { isTaken in
                if !isTaken { isWhole = false }
                countdown.done()
            }
        }
    }

    /// Hands over all that waits for one node. Tells whether nothing waits any more.
    func drain(for target: Int, then: @escaping (Bool) -> Void) {
        drain(node.disk.mailboxes(heldFor: target)[...], for: target, isDone: true, then: then)
    }

    private func drain(
        _ mailboxes: ArraySlice<Int>, for target: Int, isDone: Bool, then: @escaping (Bool) -> Void
    ) {
        guard node.isReachable(target) else { return then(false) }
        guard let first = mailboxes.first else { return then(isDone) }
        drain(first, for: target, to: target) { isTaken in
            drain(mailboxes.dropFirst(), for: target, isDone: isDone && isTaken, then: then)
        }
    }

    /// What is for another node waits on.
    private func drain(_ mailbox: Int, for target: Int, to taker: Int, then: @escaping (Bool) -> Void) {
        let spool = node.disk.maildir(mailbox, heldFor: target)
        let listing = node.list(spool)
        guard !spool.isEmpty else { return then(true) }
        carry(listing.tombstones[...], of: spool, mailbox, taker, taken: []) { tombstones in
            carryMessages(listing.messages, of: spool, mailbox, taker) { messages in
                let isWhole = messages.count == listing.messages.count && tombstones.count == listing.tombstones.count
                guard taker == target else { return then(isWhole) }
                release(messages[...], from: spool.new) {
                    release(tombstones[...], from: spool.gone) { then(isWhole) }
                }
            }
        }
    }

    private func carry(
        _ names: ArraySlice<String>, of spool: SimulatedMaildir, _ mailbox: Int, _ target: Int, taken: [String],
        then: @escaping ([String]) -> Void
    ) {
        guard let name = names.first else { return then(taken) }
        guard let identities = spool.gone.entries[name]?.identities else {
            return carry(names.dropFirst(), of: spool, mailbox, target, taken: taken, then: then)
        }
        if node.world.bug == .tombstoneDroppedAtHandoff {
            return carry(names.dropFirst(), of: spool, mailbox, target, taken: taken + [name], then: then)
        }
        node.step(.carryHeld, after: 0) {
            node.carry(.tombstone(identities), named: name, of: mailbox, to: target) { verdict in
                guard verdict.isAccepted else { return then(taken) }
                carry(names.dropFirst(), of: spool, mailbox, target, taken: taken + [name], then: then)
            }
        }
    }

    /// Tells which of them the node took.
    private func carryMessages(
        _ names: [String], of spool: SimulatedMaildir, _ mailbox: Int, _ target: Int, then: @escaping ([String]) -> Void
    ) {
        var taken: [String] = []
        let countdown = Countdown(names.count) { then(taken.sorted()) }
        for name in names {
            guard let content = spool.new.entries[name]?.content else {
                countdown.done()
                continue
            }
            if node.world.bug == .handoffReleasedEarly { spool.new.unlink(name) }
            node.step(.carryHeld, after: 0) {
                node.carry(.copy(content), named: name, of: mailbox, to: target) { verdict in
                    if verdict.isAccepted { taken.append(name) }
                    countdown.done()
                }
            }
        }
    }

    private func release(_ names: ArraySlice<String>, from folder: SimulatedFolder, then: @escaping () -> Void) {
        guard let first = names.first else { return then() }
        node.diskStep(.release) {
            folder.unlink(first)
            node.disk.giveRoom()
            node.note("lets go of \(first)")
            release(names.dropFirst(), from: folder, then: then)
        }
    }
}

/// The loop of a node that hands over what waits on it.
final class HandoffLoop {
    private let node: StorageNode
    private var waiting: Set<Int> = []
    private var round = 0

    private static let interval = SimulatedTime.seconds(1)
    private static let roundsPerWalk = 300

    init(_ node: StorageNode) { self.node = node }

    func start() { node.after(node.world.random.between(0, Self.interval)) { [self] in go() } }

    private func go() {
        if round % Self.roundsPerWalk == 0 { waiting.formUnion(node.disk.targets) }
        round += 1
        waiting.formUnion(node.freshTargets)
        node.freshTargets = []
        guard !node.world.pausesDrains else { return node.after(Self.interval) { [self] in go() } }
        drain(waiting.sorted()[...])
    }

    private func drain(_ targets: ArraySlice<Int>) {
        guard let target = targets.first else { return node.after(Self.interval) { [self] in go() } }
        HandoffDrain(node).drain(for: target) { [self] isDone in
            if isDone { waiting.remove(target) }
            drain(targets.dropFirst())
        }
    }
}
