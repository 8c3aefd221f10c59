/// What one replica of a mailbox holds, by name.
package struct ReplicaContents: Hashable, Sendable {
    /// Identities of the messages that it shows: none of them is deleted by its own tombstones.
    package var messages: Set<String>
    /// Names of its tombstones. Each lists identities, and never changes.
    package var tombstones: Set<String>

    package init(messages: Set<String> = [], tombstones: Set<String> = []) {
        self.messages = messages
        self.tombstones = tombstones
    }
}

/// The union of two replicas of one mailbox: messages = added − tombstoned. Used by reading, repair and moves.
///
/// Tombstones go first, both ways: once each side has all of them, a message that one side lacks and that nobody deleted
/// can only be missing there. No order, repeat or crash between two steps can bring a deleted message back, because a
/// replica hides what its tombstones name, whatever is delivered to it.
package struct Merge: Sendable {
    package enum Side: Hashable, Sendable {
        case here, there

        package var other: Side { self == .here ? .there : .here }
    }

    /// What is to be carried from one side to the other, under its name.
    package enum Step: Hashable, Sendable {
        case tombstone(String, to: Side)
        case message(String, to: Side)
    }

    /// Who is to have messages that it lacks. Tombstones go both ways whatever it is: they cost little, and save messages.
    package enum Scope: Sendable {
        /// Two owners of the mailbox.
        case both
        /// The other side is about to lose the mailbox, and is to be given nothing more of it.
        case here
        /// This side is.
        case there

        fileprivate func includes(_ side: Side) -> Bool {
            switch self {
            case .both: true
            case .here: side == .here
            case .there: side == .there
            }
        }
    }

    private let here: ReplicaContents
    private let there: ReplicaContents
    private let scope: Scope
    /// What the tombstones that were carried delete.
    private var deleted: Set<String> = []
    private var outstanding: Set<Step> = []
    private var hasCarriedTombstones = false
    /// Steps that could not be done. After one in the first half there is no second half: it could undo a deletion.
    package private(set) var failures = 0
    /// Whether this side lacks something that the other has.
    package private(set) var isLackingHere = false
    package private(set) var messagesCarried = 0
    package private(set) var tombstonesCarried = 0

    package init(here: ReplicaContents, there: ReplicaContents, scope: Scope = .both) {
        self.here = here
        self.there = there
        self.scope = scope
    }

    /// Whether nothing is under way or to be done any more.
    package var isOver: Bool { hasCarriedTombstones && outstanding.isEmpty }

    /// Whether both sides hold the same now.
    package var isComplete: Bool { isOver && failures == 0 }

    /// The first steps; they may be done in any order, and at once.
    package mutating func start() -> [Step] {
        var steps = there.tombstones.subtracting(here.tombstones).map { Step.tombstone($0, to: .here) }
        // A side that is to be given nothing and has no message needs no tombstone either.
        if scope.includes(.there) || !there.messages.isEmpty {
            steps += here.tombstones.subtracting(there.tombstones).map { Step.tombstone($0, to: .there) }
        }
        return begin(steps)
    }

    /// A tombstone has been carried, and names these messages.
    package mutating func tombstoneCarried(_ step: Step, deletes identities: some Sequence<String>) -> [Step] {
        guard outstanding.remove(step) != nil else { return [] }
        tombstonesCarried += 1
        deleted.formUnion(identities)
        return outstanding.isEmpty ? carryMessages() : []
    }

    /// A message has been carried, or was deleted meanwhile by somebody else.
    package mutating func messageCarried(_ step: Step) {
        if outstanding.remove(step) != nil { messagesCarried += 1 }
    }

    /// A step could not be done.
    package mutating func failed(_ step: Step) -> [Step] {
        guard outstanding.remove(step) != nil else { return [] }
        failures += 1
        if step.destination == .here { isLackingHere = true }
        return outstanding.isEmpty && !hasCarriedTombstones ? carryMessages() : []
    }

    private mutating func begin(_ steps: [Step]) -> [Step] {
        outstanding = Set(steps)
        return steps.isEmpty ? carryMessages() : steps.sorted(by: Self.isBefore)
    }

    private mutating func carryMessages() -> [Step] {
        guard !hasCarriedTombstones else { return [] }
        hasCarriedTombstones = true
        guard failures == 0 else { return [] }
        var steps: [Step] = []
        for (side, has, lacks) in [(Side.there, here, there), (.here, there, here)] where scope.includes(side) {
            let missing = has.messages.subtracting(lacks.messages).subtracting(deleted)
            steps += missing.map { Step.message($0, to: side) }
        }
        outstanding = Set(steps)
        return steps.sorted(by: Self.isBefore)
    }

    /// Oldest first, so that what is interrupted has brought the oldest; the order is the same everywhere.
    private static func isBefore(_ left: Step, _ right: Step) -> Bool { left.key < right.key }
}

extension Merge.Step {
    package var name: String {
        switch self {
        case .tombstone(let name, _), .message(let name, _): name
        }
    }

    package var isMessageHere: Bool { if case .message(_, .here) = self { true } else { false } }

    package var destination: Merge.Side {
        switch self {
        case .tombstone(_, let side), .message(_, let side): side
        }
    }

    fileprivate var key: (String, Int) { (name, destination == .here ? 0 : 1) }
}
