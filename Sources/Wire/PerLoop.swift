package import NIOCore

/// One value per event loop, made on its loop when it is first asked for: a way to share without locks what belongs to
/// a loop, such as the connections to the storage nodes.
package final class PerLoop<Value>: Sendable {
    @usableFromInline let boxes: [ObjectIdentifier: NIOLoopBoundBox<Value?>]
    private let loops: [any EventLoop]
    @usableFromInline let make: @Sendable (any EventLoop) -> Value

    package init(_ group: any EventLoopGroup, make: @escaping @Sendable (any EventLoop) -> Value) {
        self.make = make
        loops = Array(group.makeIterator())
        boxes = Dictionary(
            uniqueKeysWithValues: group.makeIterator().map { loop in
                (ObjectIdentifier(loop), NIOLoopBoundBox.makeEmptyBox(valueType: Value.self, eventLoop: loop))
            })
    }

    /// Asks or tells the values that have been made, each on its loop.
    package func onEach<Answer: Sendable>(_ body: @escaping @Sendable (Value) -> Answer) async -> [Answer] {
        var answers: [Answer] = []
        for loop in loops {
            let answer = try? await loop.submit { self.boxes[ObjectIdentifier(loop)]?.value.map(body) }.get()
            if let answer = answer ?? nil { answers.append(answer) }
        }
        return answers
    }

    /// The value of `loop`, which must be the current one and belong to the group.
    @inlinable
    package subscript(loop: any EventLoop) -> Value {
        guard let box = boxes[ObjectIdentifier(loop)] else {
            preconditionFailure("event loop \(loop) is not of this group")
        }
        if let value = box.value { return value }
        let value = make(loop)
        box.value = value
        return value
    }
}
