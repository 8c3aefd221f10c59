import Mail

/// A message that is whole, on its way to all its recipients.
struct MessageCommit: Sendable {
    let identity: MessageIdentity
    let recipients: [DeliveryRecipient]
    let mayBeRepeat: Bool
    /// Of the message, without a recipient's header.
    let size: WireSize
    let outcomes: CommitOutcomes
    let queue: DeliveryQueue

    func fail(_ error: MaildirError) {
        for index in recipients.indices { outcomes.set(.failure(error), at: index) }
    }

    /// Each recipient has a file of its own, written from memory.
    func deliver(_ body: BodyBuffer) {
        for index in recipients.indices { queue.add(job(index, .memory(body))) }
    }

    /// The file of one recipient has all of the message. It is synced first, and only then do the others have it as theirs
    /// or copy it, because after a failed fsync the kernel may show pages that never reached the disk.
    func deliver(_ spill: Spill, of base: Int) {
        let names = Set(others(like: base).prefix(Self.namesMax - 1))
        let first = job(base, .spilled(spill, isShared: !names.isEmpty))
        let others = recipients.indices.filter { $0 != base }.map { index in
            job(
                index,
                names.contains(index)
                    ? .shared(spill, length: size.diskOctets) : .copied(from: spill, length: size.diskOctets))
        }
        first.afterSync = { [queue] result in
            for other in others {
                switch result {
                case .success: queue.add(other)
                case .failure(let error): other.finish(.failure(error))
                }
            }
        }
        queue.add(first)
    }

    /// Whether recipients' files would be the same, byte for byte, so that they may be one.
    static func canShare(_ recipients: [DeliveryRecipient]) -> Bool {
        recipients.count > 1 && recipients[1...].contains { $0.isAlike(recipients[0]) }
    }

    private func others(like base: Int) -> [Int] {
        recipients.indices.filter { $0 != base && recipients[$0].isAlike(recipients[base]) }
    }

    /// Of one file: ext4 allows 65,000, and each may have some more in spools for other sites.
    private static let namesMax = 1_000

    private func job(_ index: Int, _ body: DeliveryJob.Body) -> DeliveryJob {
        let recipient = recipients[index]
        var header = WireSize()
        header.add(recipient.header)
        let whole = DeliverySize(
            disk: header.diskOctets + size.diskOctets, wire: header.wireOctets + size.wireOctets)
        return DeliveryJob(
            identity: identity, recipient: recipient, size: whole, mayBeRepeat: mayBeRepeat, body: body,
            answer: { [outcomes] in outcomes.set($0, at: index) })
    }
}
