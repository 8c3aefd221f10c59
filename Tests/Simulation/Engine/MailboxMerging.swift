import Cluster
import Mail

/// One merge of a mailbox with another node's copy, as the real node's `MailboxMerge` carries it out.
final class MailboxMerging {
    private let node: StorageNode
    private let mailbox: Int
    private let other: StorageNode
    private let scope: Merge.Scope
    private var then: ((Outcome) -> Void)?
    private var merge = Merge(here: ReplicaContents(), there: ReplicaContents())
    private var listing = MaildirListing(messages: [], shown: [], tombstones: [])

    enum Outcome {
        /// What this node held before, and what was carried.
        case done(MaildirListing, Merge)
        case silent
    }

    init(
        _ node: StorageNode, _ mailbox: Int, with other: StorageNode, _ scope: Merge.Scope,
        then: @escaping (Outcome) -> Void
    ) {
        self.node = node
        self.mailbox = mailbox
        self.other = other
        self.scope = scope
        self.then = then
    }

    func run() {
        node.world.tally.merges += 1
        ask { other, reply in
            other.listDurably(self.mailbox) { reply($0.contents) }
        } then: { [self] theirs in
            guard let theirs else { return end(.silent) }
            listing = node.list(mailbox)
            merge = Merge(here: listing.contents, there: theirs, scope: scope)
            carry(merge.start())
        }
    }

    private func end(_ outcome: Outcome) {
        let tell = then
        then = nil
        tell?(outcome)
    }

    private func ask<Answer>(
        _ question: @escaping (StorageNode, @escaping (Answer) -> Void) -> Void, then: @escaping (Answer?) -> Void
    ) {
        let other = other
        node.ask(other, timeout: node.scenario.timeout) { (_, reply: @escaping (Answer) -> Void) in
            question(other, reply)
        } then: {
            then($0)
        }
    }

    private func carry(_ steps: [Merge.Step]) {
        for step in steps {
            switch step {
            case .tombstone(_, .here): bringTombstone(step)
            case .tombstone(_, .there): sendTombstone(step)
            case .message(_, .here): bringMessage(step)
            case .message(_, .there): sendMessage(step)
            }
        }
        if merge.isOver { end(.done(listing, merge)) }
    }

    private func failed(_ step: Merge.Step) {
        node.note("merge with \(other.name): not carried: \(step)")
        carry(merge.failed(step))
    }

    private func carriedMessage(_ step: Merge.Step) {
        merge.messageCarried(step)
        carry([])
    }

    private var own: SimulatedMaildir { node.disk.maildir(mailbox, heldFor: nil) }

    private func bringTombstone(_ step: Merge.Step) {
        let name = step.name
        ask { other, reply in
            let file = other.disk.maildir(self.mailbox, heldFor: nil).gone.entries[name]
            other.diskStep(.answer) { reply(file?.lines ?? []) }
        } then: { [self] (lines: [DeletedMessage]?) in
            guard let lines else { return failed(step) }
            guard !lines.isEmpty else { return carry(merge.tombstoneCarried(step, deletes: [])) }
            node.step(.mergeTombstone, after: 0) { [self] in
                node.take(tombstone: name, of: lines, to: own) { [self] isKept in
                    guard isKept else { return failed(step) }
                    carry(merge.tombstoneCarried(step, deletes: lines.map(\.identity)))
                }
            }
        }
    }

    private func sendTombstone(_ step: Merge.Step) {
        guard let lines = own.gone.entries[step.name]?.lines else {
            return carry(merge.tombstoneCarried(step, deletes: []))
        }
        node.step(.mergeTombstone, after: 0) { [self] in
            node.carry(.tombstone(lines), named: step.name, of: mailbox, to: other.index) { [self] in
                guard $0.isAccepted else { return failed(step) }
                carry(merge.tombstoneCarried(step, deletes: lines.map(\.identity)))
            }
        }
    }

    private func bringMessage(_ step: Merge.Step) {
        let name = step.name
        ask { other, reply in
            let file = other.disk.maildir(self.mailbox, heldFor: nil).new.entries[name]
            other.diskStep(.answer) { reply(file?.content.map(Found.file) ?? .gone) }
        } then: { [self] (found: Found?) in
            switch found {
            case nil: failed(step)
            case .gone: carriedMessage(step)
            case .file(let content):
                node.step(.mergeMessage, after: 0) { [self] in
                    node.deliver(content, named: name, to: own, mayBeThere: true) { [self] in
                        if $0 { carriedMessage(step) } else { failed(step) }
                    }
                }
            }
        }
    }

    private enum Found {
        case file(FileContent)
        case gone
    }

    private func sendMessage(_ step: Merge.Step) {
        guard let content = own.new.entries[step.name]?.content else { return carriedMessage(step) }
        node.step(.mergeMessage, after: 0) { [self] in
            node.carry(.copy(content), named: step.name, of: mailbox, to: other.index) { [self] in
                if $0.isAccepted { carriedMessage(step) } else { failed(step) }
            }
        }
    }
}

extension MaildirListing {
    var contents: ReplicaContents { ReplicaContents(messages: Set(messages), tombstones: Set(tombstones)) }
}

extension SimulatedFile {
    /// What it says if it is a tombstone.
    var lines: [DeletedMessage]? {
        if case .tombstone(let lines) = content { lines } else { nil }
    }

    /// The text if it is a message.
    var text: Int? { content?.text }
}

extension FileContent {
    var text: Int? {
        if case .message(let text) = self { text } else { nil }
    }
}
