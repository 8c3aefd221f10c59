import Testing

@testable import Cluster

@Suite("What is drained next")
struct DrainQueueTests {
    @Test("Each waits once, in the order in which it was found, and is not drained twice at a time")
    func order() {
        var queue = DrainQueue<String>()
        queue.found(["a", "b"])
        queue.came(["b", "c", "a"])
        #expect(queue.count == 3)
        #expect([queue.next(), queue.next()] == ["a", "b"])
        queue.found(["a", "b", "d"])
        #expect(queue.count == 2 && queue.running == 2)
        #expect([queue.next(), queue.next(), queue.next()] == ["c", "d", nil])
    }

    @Test("What came while it was drained is looked at again, and what was only found is not")
    func again() {
        var queue = DrainQueue<String>()
        queue.came(["a", "b"])
        #expect([queue.next(), queue.next()] == ["a", "b"])
        queue.came(["a", "a"])
        queue.found(["b"])
        #expect(queue.next() == nil)
        queue.ended("a")
        queue.ended("b")
        #expect(queue.next() == "a")
        queue.ended("a")
        #expect(queue.next() == nil && queue.running == 0)
    }
}
