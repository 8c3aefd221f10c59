import Cluster
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
            drain(mailbox, for: target, to: [asker], lettingGo: target == asker) { isTaken in
                if !isTaken { isWhole = false }
                countdown.done()
            }
        }
    }

    /// Takes what this node keeps for others and has not itself: whoever brought it did not take this node for an owner.
    func takeOver(_ mailbox: Int, then: @escaping () -> Void) {
        let targets = node.disk.targets
        let known = node.list(mailbox)
        let countdown = Countdown(targets.count, then: then)
        for target in targets {
            drain(mailbox, for: target, to: [node.index], lettingGo: false, except: known) { _ in countdown.done() }
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
        let owners = node.ring.owners(ofPartition: node.world.partitions[first]).map(Int.init)
        drain(first, for: target, to: owners.contains(target) ? [target] : owners, lettingGo: true) { isTaken in
            drain(mailboxes.dropFirst(), for: target, isDone: isDone && isTaken, then: then)
        }
    }

    /// Tells whether all of the nodes took all of it. What one did not take waits on; what is `known` is not brought.
    private func drain(
        _ mailbox: Int, for target: Int, to takers: [Int], lettingGo: Bool, except known: MaildirListing? = nil,
        then: @escaping (Bool) -> Void
    ) {
        let spool = node.disk.maildir(mailbox, heldFor: target)
        let listing = node.list(spool).without(known)
        guard !listing.messages.isEmpty || !listing.tombstones.isEmpty else { return then(true) }
        give(listing, of: spool, mailbox, to: takers[...], taken: listing) { taken in
            let isWhole =
                taken.messages.count == listing.messages.count && taken.tombstones.count == listing.tombstones.count
            guard lettingGo else { return then(isWhole) }
            release(taken.messages[...], from: spool.new) {
                release(taken.tombstones[...], from: spool.gone) { then(isWhole) }
            }
        }
    }

    /// Tells what all of them took.
    private func give(
        _ listing: MaildirListing, of spool: SimulatedMaildir, _ mailbox: Int, to takers: ArraySlice<Int>,
        taken: MaildirListing, then: @escaping (MaildirListing) -> Void
    ) {
        guard let taker = takers.first else { return then(taken) }
        carry(listing.tombstones[...], of: spool, mailbox, taker, taken: []) { tombstones in
            carryMessages(listing.messages, of: spool, mailbox, taker) { messages in
                let both = MaildirListing(
                    messages: taken.messages.filter(messages.contains), shown: [],
                    tombstones: taken.tombstones.filter(tombstones.contains))
                give(listing, of: spool, mailbox, to: takers.dropFirst(), taken: both, then: then)
            }
        }
    }

    private func carry(
        _ names: ArraySlice<String>, of spool: SimulatedMaildir, _ mailbox: Int, _ target: Int, taken: [String],
        then: @escaping ([String]) -> Void
    ) {
        guard let name = names.first else { return then(taken) }
        guard let lines = spool.gone.entries[name]?.lines else {
            return carry(names.dropFirst(), of: spool, mailbox, target, taken: taken, then: then)
        }
        if node.world.bug == .tombstoneDroppedAtHandoff {
            return carry(names.dropFirst(), of: spool, mailbox, target, taken: taken + [name], then: then)
        }
        node.step(.carryHeld, after: 0) {
            node.carry(.tombstone(lines), named: name, of: mailbox, to: target, at: .origin) { verdict in
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
                node.carry(.copy(content), named: name, of: mailbox, to: target, at: .origin) { verdict in
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
