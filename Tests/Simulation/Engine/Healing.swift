/// What comes after the faults: everything is up again, everything is read, handed over and merged until it is quiet, and
/// then looked at.
final class Healing {
    private unowned let world: World
    private var rounds = 0

    /// So long nothing of what began among faults can go on.
    private static let settling = SimulatedTime.seconds(90)
    /// Longer than it takes until a node looks through everything that waits on it.
    private static let roundsMax = 6

    init(_ world: World) { self.world = world }

    func start() {
        world.note("healing")
        world.takesClients = false
        world.crashChance = 0
        world.pausesDrains = world.scenario.pausesDrains
        world.network.cure()
        for process in world.processes {
            process.goOn()
            process.start()
            process.learnEpoch()
        }
        for node in world.nodes { node.disk.cure() }
        world.after(Self.settling) { [self] in loseDisks() }
    }

    private func loseDisks() {
        let count = world.scenario.disksLostLate
        guard count > 0 else { return readAll() }
        for index in world.random.sample(count, below: world.nodes.count) { world.loseDisk(world.nodes[index]) }
        // The others must have found out that they are back.
        world.after(.seconds(40)) { [self] in readAll() }
    }

    // MARK: reading

    /// Whatever was acknowledged shows at every owner, though nothing was handed over or repaired for it.
    private func readAll() {
        var openings: [(mailbox: Int, owner: Int)] = []
        for mailbox in world.partitions.indices {
            for owner in world.owners(of: mailbox) { openings.append((mailbox, owner)) }
        }
        // Any owner may be asked first.
        openings.shuffle(using: &world.random)
        read(openings[...])
    }

    private func read(_ openings: ArraySlice<(mailbox: Int, owner: Int)>) {
        guard let first = openings.first else { return resume() }
        world.nodes[first.owner].open(first.mailbox) { [self] session in
            guard let session else { return world.complain("mailbox \(first.mailbox) cannot be opened after healing") }
            world.note("reads mailbox \(first.mailbox) at node \(first.owner): \(session.listing.shown)")
            for complaint in world.ledger.complaints(first.mailbox, shows: session.listing.shown) {
                guard isToCome(complaint, at: world.nodes[first.owner]) else {
                    return world.complain("read at node \(first.owner) after healing: \(complaint)")
                }
                world.tally.late += 1
            }
            read(openings.dropFirst())
        }
    }

    /// Whether what is missing waits on a node that stood in though it is far down the preference list, or that was delivered
    /// to by somebody who had not heard of the last epochs: an opening does not ask it, and the reader sees the effect when it
    /// has handed over.
    private func isToCome(_ complaint: Complaint, at node: StorageNode) -> Bool {
        let (owners, former, standIns) = node.helpers(for: complaint.mailbox)
        let asked = (owners + former + standIns).map(Int.init) + [node.index]
        return world.nodes.contains { other in
            guard !asked.contains(other.index) else { return false }
            var places = other.disk.targets.map { other.disk.maildir(complaint.mailbox, heldFor: $0) }
            if other.strays.contains(complaint.mailbox) {
                places.append(other.disk.maildir(complaint.mailbox, heldFor: nil))
            }
            return places.contains { place in
                switch complaint.kind {
                case .lost: place.new.entries[complaint.message] != nil
                case .resurrected: place.deletes(complaint.message, text: world.ledger.text(of: complaint))
                case .twice, .invented, .damaged: false
                }
            }
        }
    }

    // MARK: repair

    private func resume() {
        world.pausesDrains = false
        world.after(.seconds(10)) { [self] in repair() }
    }

    private func repair() {
        rounds += 1
        var pairs: [(mailbox: Int, here: Int, there: Int)] = []
        for mailbox in world.partitions.indices {
            let owners = world.owners(of: mailbox)
            for other in owners.dropFirst() { pairs.append((mailbox, owners[0], other)) }
        }
        merge(pairs[...])
    }

    private func merge(_ pairs: ArraySlice<(mailbox: Int, here: Int, there: Int)>) {
        guard let first = pairs.first else { return judge() }
        world.nodes[first.here].merge(first.mailbox, with: first.there) { [self] _ in merge(pairs.dropFirst()) }
    }

    // MARK: judging

    private func judge() {
        if let unrest {
            guard rounds < Self.roundsMax else { return world.complain(unrest) }
            return world.after(.seconds(60)) { [self] in repair() }
        }
        for mailbox in world.partitions.indices {
            let node = world.nodes[world.owners(of: mailbox)[0]]
            let listing = node.list(mailbox)
            var complaints = world.ledger.complaints(mailbox, shows: listing.shown)
            for name in listing.messages where !isWhole(name, in: mailbox, at: node) {
                complaints.append(Complaint(.damaged, name, mailbox))
            }
            if let first = complaints.first { return world.complain("in the end: \(first)") }
            world.tally.doubles += world.ledger.doubles(mailbox, among: listing.shown)
            world.tally.hidden += listing.messages.count - listing.shown.count
        }
        world.isOver = true
    }

    private func isWhole(_ name: String, in mailbox: Int, at node: StorageNode) -> Bool {
        guard let text = world.ledger.pages[mailbox].minted[name] else { return false }
        return node.disk.maildir(mailbox, heldFor: nil).new.entries[name]?.content == .message(text: text)
    }

    /// What is not quiet yet.
    private var unrest: String? {
        for node in world.nodes where node.disk.hasHeld { return "something waits on \(node.name) for ever" }
        for node in world.nodes where !node.strays.isEmpty {
            return "\(node.name) does not give up mailboxes \(node.strays)"
        }
        for mailbox in world.partitions.indices {
            let owners = world.owners(of: mailbox)
            for other in owners.dropFirst()
            where world.nodes[other].digest(mailbox) != world.nodes[owners[0]].digest(mailbox) {
                return "replicas of mailbox \(mailbox) differ on nodes \(owners[0]) and \(other)"
            }
        }
        return nil
    }
}
