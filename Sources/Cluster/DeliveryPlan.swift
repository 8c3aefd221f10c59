package import Mail

/// The delivery of one message, or of a deletion, by a sloppy quorum: which node is given which copy, who stands in for
/// an owner that does not take its own, and what becomes of each recipient, told exactly once.
///
/// - An owner that is not live, fails, or lags has its copy kept in handoff by the next live node of the preference list.
/// - Where no such node is left, one that has a copy already is told to hold it for that owner: that makes no further
///   copy, but the owner is not forgotten.
/// - For W owners a durable copy is on W different nodes: accepted, at once. What is missing then goes on behind the
///   answer. A stand-in's copy beside the owner's own does not count, because it goes as soon as it is handed over.
/// - Nobody is left who could make W: deferred; or refused, if every owner refused.
package struct DeliveryPlan: Sendable {
    /// One copy on its way: whose it is, and who is to keep it.
    package struct Copy: Hashable, Sendable {
        package enum Kind: Sendable {
            /// For the owner itself.
            case own
            /// With its text, to a node that keeps it until the owner takes it.
            case handoff
            /// Without text, to a node that has the message: it keeps it until the owner has it too.
            case hold
        }

        package let recipient: Int
        package let owner: Ring.NodeIndex
        package let node: Ring.NodeIndex
        package let kind: Kind
    }

    private let ring: Ring
    private let quorum: Int
    /// Whether the text can be sent again after a first node failed.
    private let canResend: Bool
    private var recipients: [Recipient]
    private var undecided: Int

    /// - Parameters:
    ///   - partitions: for each recipient the partition of its mailbox.
    ///   - quorum: W, 1 to the ring's replicas.
    ///   - canResend: false for a text that streams through and is nowhere whole.
    ///   - durableAt: a node that has the message already for every recipient.
    package init(
        ring: Ring, partitions: [Int], quorum: Int, canResend: Bool = true, durableAt: Ring.NodeIndex? = nil
    ) {
        precondition((1...ring.replicas).contains(quorum), "a quorum of \(quorum) with \(ring.replicas) owners")
        self.ring = ring
        self.quorum = quorum
        self.canResend = canResend
        recipients = partitions.map { Recipient(partition: $0, owners: ring.owners(ofPartition: $0)) }
        undecided = partitions.count
        guard let durableAt else { return }
        for index in recipients.indices {
            recipients[index].durable.append(durableAt)
            recipients[index].attempted.append(durableAt)
            for slot in recipients[index].slots.indices where recipients[index].slots[slot].owner == durableAt {
                recipients[index].slots[slot].isDone = true
                recipients[index].slots[slot].isDurable = true
                recipients[index].slots[slot].isWithOwner = true
            }
            recipients[index].isElsewhere = !recipients[index].slots.contains { $0.owner == durableAt }
            if recipients[index].lasting >= quorum { decide(index) }
        }
    }

    /// Whether every recipient has its verdict.
    package var isDecided: Bool { undecided == 0 }

    /// The verdicts so far, in the order of the recipients.
    package var verdicts: [Verdict?] { recipients.map(\.verdict) }

    /// Whether no copy is on its way any more, and none is to be sent.
    package var isFinished: Bool { recipients.allSatisfy { $0.slots.allSatisfy(\.isOver) } }

    /// The owners whose copies are neither with them nor kept for them, after the plan has finished: repair finds them.
    package var forgotten: [(recipient: Int, owner: Ring.NodeIndex)] {
        recipients.enumerated().flatMap { index, recipient in
            recipient.slots.filter { $0.isOver && !$0.isDone }.map { (index, $0.owner) }
        }
    }

    /// The first copies.
    package mutating func start(isLive: (Ring.NodeIndex) -> Bool) -> [Copy] {
        var copies: [Copy] = []
        for index in recipients.indices {
            for slot in recipients[index].slots.indices where !recipients[index].slots[slot].isDone {
                let owner = recipients[index].slots[slot].owner
                // An owner that is believed dead may be alive: better it than nobody.
                let standIn = isLive(owner) ? nil : standIn(index, slot, isLive)
                copies.append(send(index, slot, to: standIn ?? owner, standIn == nil ? .own : .handoff))
            }
        }
        return copies
    }

    /// A node answered for a copy, or will not answer any more (deferred). What comes twice or late changes nothing.
    ///
    /// - Returns: further copies to send.
    package mutating func answered(
        _ copy: Copy, _ verdict: Verdict, isLive: (Ring.NodeIndex) -> Bool
    ) -> [Copy] {
        guard let slot = take(copy) else { return [] }
        switch verdict {
        case .accepted:
            recipients[copy.recipient].slots[slot].isDone = true
            if copy.kind != .hold {
                recipients[copy.recipient].slots[slot].isDurable = true
                recipients[copy.recipient].addDurable(copy.node)
            }
            if copy.kind == .own { recipients[copy.recipient].slots[slot].isWithOwner = true }
        case .refused(let reason) where copy.kind == .own:
            recipients[copy.recipient].slots[slot].refusal = reason
        case .refused(let reason), .deferred(let reason):
            recipients[copy.recipient].deferral = recipients[copy.recipient].deferral ?? reason
        }
        var more = goOn(copy.recipient, isLive)
        if !recipients[copy.recipient].mayBecomeDurable, recipients[copy.recipient].lasting < quorum {
            more += askPassedOver(copy.recipient)
        }
        decide(copy.recipient)
        return more
    }

    /// A node has not answered for longer than is usual: another one is asked too, and the first answer counts.
    ///
    /// - Returns: further copies to send.
    package mutating func lagging(_ copy: Copy, isLive: (Ring.NodeIndex) -> Bool) -> [Copy] {
        guard canResend, copy.kind != .hold, let slot = place(of: copy),
            !recipients[copy.recipient].slots[slot].isDone,
            recipients[copy.recipient].slots[slot].outstanding.count == 1
        else { return [] }
        if let standIn = standIn(copy.recipient, slot, isLive) {
            return [send(copy.recipient, slot, to: standIn, .handoff)]
        }
        recipients[copy.recipient].slots[slot].isLagging = true
        return askPassedOver(copy.recipient)
    }

    /// Whether every recipient may still have its quorum if a node does not take the copies that are on their way to it.
    package func canDoWithout(_ node: Ring.NodeIndex) -> Bool {
        recipients.allSatisfy { $0.outstanding(at: node) == 0 || $0.lasting + $0.outstanding(except: node) >= quorum }
    }

    /// Owners that were believed dead are asked all the same before a message is refused: they may be back. Then so is one
    /// stand-in, and no more: each may take its time to fail.
    private mutating func askPassedOver(_ index: Int) -> [Copy] {
        guard canResend, recipients[index].verdict == nil else { return [] }
        let attempted = recipients[index].attempted
        let slots = recipients[index].slots.indices.filter { slot in
            !attempted.contains(recipients[index].slots[slot].owner)
        }
        if !slots.isEmpty { return slots.map { send(index, $0, to: recipients[index].slots[$0].owner, .own) } }
        guard !recipients[index].hasAskedLostStandIn,
            let slot = recipients[index].slots.firstIndex(where: \.lacksText),
            let standIn = standIn(index, slot, { !attempted.contains($0) })
        else { return [] }
        recipients[index].hasAskedLostStandIn = true
        return [send(index, slot, to: standIn, .handoff)]
    }

    private func place(of copy: Copy) -> Int? {
        guard recipients.indices.contains(copy.recipient) else { return nil }
        return recipients[copy.recipient].slots.firstIndex { $0.owner == copy.owner && $0.outstanding.contains(copy) }
    }

    /// The slot that the copy was on its way to fill; it is on its way no more.
    private mutating func take(_ copy: Copy) -> Int? {
        guard let slot = place(of: copy) else { return nil }
        recipients[copy.recipient].slots[slot].outstanding.removeAll { $0 == copy }
        return slot
    }

    private mutating func send(
        _ recipient: Int, _ slot: Int, to node: Ring.NodeIndex, _ kind: Copy.Kind
    ) -> Copy {
        let owner = recipients[recipient].slots[slot].owner
        let copy = Copy(recipient: recipient, owner: owner, node: node, kind: kind)
        recipients[recipient].slots[slot].outstanding.append(copy)
        if kind == .hold {
            recipients[recipient].slots[slot].holders.append(node)
        } else {
            recipients[recipient].slots[slot].asked.append(node)
            recipients[recipient].slots[slot].isLagging = false
            recipients[recipient].attempted.append(node)
        }
        return copy
    }

    /// The next live node that may keep a copy for the slot's owner: none that was asked to for this one, nor for another
    /// one that has no copy of its own yet.
    private func standIn(_ recipient: Int, _ slot: Int, _ isLive: (Ring.NodeIndex) -> Bool) -> Ring.NodeIndex? {
        let slots = recipients[recipient].slots
        let used = slots.indices.flatMap { other in
            [slots[other].owner] + (other == slot || !slots[other].isWithOwner ? slots[other].asked : [])
        }
        return PreferenceList.standIn(
            ring, partition: recipients[recipient].partition, besides: used, isLive: isLive)
    }

    /// Whoever has no copy on its way gets another one.
    private mutating func goOn(_ index: Int, _ isLive: (Ring.NodeIndex) -> Bool) -> [Copy] {
        var copies: [Copy] = []
        for slot in recipients[index].slots.indices where recipients[index].wantsCopy(slot) {
            if canResend, let standIn = standIn(index, slot, isLive) {
                copies.append(send(index, slot, to: standIn, .handoff))
                continue
            }
            guard recipients[index].slots[slot].isIdle else { continue }
            let holders = recipients[index].slots[slot].holders
            if let holder = recipients[index].durable.first(where: { !holders.contains($0) }) {
                copies.append(send(index, slot, to: holder, .hold))
            } else if !recipients[index].mayBecomeDurable {
                recipients[index].slots[slot].isExhausted = true
            }
        }
        return copies
    }

    private mutating func decide(_ index: Int) {
        guard recipients[index].verdict == nil, let verdict = recipients[index].judge(quorum) else { return }
        recipients[index].verdict = verdict
        undecided -= 1
    }
}

extension DeliveryPlan {
    /// What one owner's copy has come to.
    private struct Slot {
        let owner: Ring.NodeIndex
        var outstanding: [Copy] = []
        /// Who was told to hold a copy for the owner.
        var holders: [Ring.NodeIndex] = []
        /// Who was sent the text for the owner.
        var asked: [Ring.NodeIndex] = []
        var isDone = false
        /// A node has the text for the owner durably, and not because of another owner.
        var isDurable = false
        var isWithOwner = false
        /// No stand-in was free when the owner lagged.
        var isLagging = false
        var isExhausted = false
        /// The owner will never take it.
        var refusal: Reason?

        var isOver: Bool { outstanding.isEmpty && (isDone || isExhausted || refusal != nil) }
        /// Nobody has the text for the owner or is being sent it, and the owner would take it.
        var lacksText: Bool { !isDurable && refusal == nil && outstanding.allSatisfy { $0.kind == .hold } }
        var isIdle: Bool { outstanding.isEmpty && !isDone && !isExhausted && refusal == nil }
    }

    /// What is known for one recipient.
    private struct Recipient {
        let partition: Int
        var slots: [Slot]
        /// Nodes that have a durable copy, each once.
        var durable: [Ring.NodeIndex] = []
        /// A node that is no owner has it for good.
        var isElsewhere = false
        /// Whoever was sent the text.
        var attempted: [Ring.NodeIndex] = []
        /// A stand-in was sent it that was believed dead.
        var hasAskedLostStandIn = false
        var verdict: Verdict?
        var deferral: Reason?

        init(partition: Int, owners: ArraySlice<Ring.NodeIndex>) {
            self.partition = partition
            slots = owners.map { Slot(owner: $0) }
        }

        mutating func addDurable(_ node: Ring.NodeIndex) {
            if !durable.contains(node) { durable.append(node) }
        }

        /// How many nodes have it, and will when everything was handed over.
        var lasting: Int { slots.count(where: \.isDurable) + (isElsewhere ? 1 : 0) }

        func outstanding(at node: Ring.NodeIndex) -> Int {
            slots.count { $0.outstanding.contains { $0.node == node } }
        }

        /// In how many slots a text is on its way to another node, that nobody has durably yet.
        func outstanding(except node: Ring.NodeIndex) -> Int {
            slots.count { slot in
                !slot.isDurable && slot.outstanding.contains { $0.node != node && $0.kind != .hold }
            }
        }

        /// Whether a copy is to be sent for a slot. Until the message is accepted, being held is not enough.
        func wantsCopy(_ slot: Int) -> Bool {
            let slot = slots[slot]
            if slot.isIdle { return true }
            guard verdict == nil else { return false }
            return slot.lacksText
                || slot.isLagging && slot.outstanding.count == 1 && !slot.isDurable && slot.refusal == nil
        }

        /// Whether a node that is being sent the text has not answered yet.
        var mayBecomeDurable: Bool {
            slots.contains { slot in
                slot.outstanding.contains { $0.kind != .hold && !(slot.isDurable && durable.contains($0.node)) }
            }
        }

        func judge(_ quorum: Int) -> Verdict? {
            if lasting >= quorum { return .accepted }
            if mayBecomeDurable { return nil }
            let refusals = slots.compactMap(\.refusal)
            if refusals.count == slots.count { return .refused(refusals[0]) }
            return .deferred(deferral ?? .unexpected)
        }
    }
}
