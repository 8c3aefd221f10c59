/// Rows in aligned columns, as commands print them.
struct TextTable {
    private let head: [String]
    private var rows: [[String]] = []
    /// Columns of figures, which stand at the right.
    private let figures: Set<Int>

    init(_ head: [String], figures: Set<Int> = []) {
        self.head = head
        self.figures = figures
    }

    /// - Parameter row: as many cells as there are columns; an empty one is shown as "-".
    mutating func add(_ row: [String]) {
        precondition(row.count == head.count, "\(row.count) cells in \(head.count) columns")
        rows.append(row.map { $0.isEmpty ? "-" : $0 })
    }

    /// The lines, each with its newline; without rows, what there is none of.
    func text(empty: String) -> String { rows.isEmpty ? "\(empty)\n" : Self.aligned([head] + rows, figures) }

    /// Names and values, without a head.
    static func list(_ pairs: [(String, String)]) -> String {
        aligned(pairs.map { [$0, $1.isEmpty ? "-" : $1] }, [])
    }

    private static func aligned(_ rows: [[String]], _ figures: Set<Int>) -> String {
        let widths = (rows.first ?? []).indices.map { column in rows.reduce(0) { max($0, $1[column].count) } }
        return rows.reduce(into: "") { text, row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += (column == 0 ? "" : "  ") + (figures.contains(column) ? padding + cell : cell + padding)
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
    }
}
