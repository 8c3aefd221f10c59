import Foundation
import Membership
import Testing

@Suite("README")
struct ReadmeTests {
    @Test("README's table of keys is the one that the program prints: 'hauberk config keys --markdown'")
    func table() throws {
        let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
        let readme = try String(contentsOfFile: root + "/README.md", encoding: .utf8)
        let begin = try #require(readme.range(of: "<!-- configuration keys: begin -->\n"))
        let end = try #require(readme.range(of: "<!-- configuration keys: end -->"))
        #expect(readme[begin.upperBound..<end.lowerBound] == "\n" + ConfigurationKeys.markdownTable() + "\n")
    }
}
