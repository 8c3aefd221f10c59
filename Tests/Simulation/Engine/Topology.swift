/// Which sites there are, and which of them replicates to which.
package enum Topology: String, CaseIterable, Sendable {
    case alone
    /// A and B, both ways.
    case pair
    /// A, B and C, each to both others.
    case mesh
    /// A to B to C to A.
    case ring
    /// A and C, both ways with B, and not with each other.
    case line
    /// A to B to C, which are mirrors: mail comes in, and is deleted, at A only.
    case chain

    package static let severalSites = allCases.filter { $0.sites > 1 }

    var sites: Int {
        switch self {
        case .alone: 1
        case .pair: 2
        case .mesh, .ring, .line, .chain: 3
        }
    }

    /// The sites that one of them replicates to.
    func peers(of site: Int) -> [Int] {
        switch self {
        case .alone: []
        case .pair, .mesh: (0..<sites).filter { $0 != site }
        case .ring: [(site + 1) % sites]
        case .line: (0..<sites).filter { abs($0 - site) == 1 }
        case .chain: site + 1 < sites ? [site + 1] : []
        }
    }

    /// Whether clients change mailboxes at that site.
    func isWritten(at site: Int) -> Bool { self != .chain || site == 0 }
}
