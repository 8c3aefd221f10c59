/// Many names by one pattern: `user%d@example.test` and 100 give `user0@example.test` to `user99@example.test`.
package struct NamePattern: Sendable, Equatable {
    private let before: Substring
    private let after: Substring?
    package let count: Int

    /// Without `%d` there is one name, whatever `count` says.
    package init(_ text: String, count: Int) {
        var place = text.startIndex
        while place < text.endIndex, !text[place...].hasPrefix("%d") { place = text.index(after: place) }
        before = text[..<place]
        after = place < text.endIndex ? text[place...].dropFirst(2) : nil
        self.count = after == nil ? 1 : max(1, count)
    }

    /// - Parameter number: 0 or more; it starts anew when the names are used up.
    package subscript(number: Int) -> String {
        guard let after else { return String(before) }
        return "\(before)\(number % count)\(after)"
    }
}
