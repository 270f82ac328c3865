// Package embedded is the BudgetStore of a node without servers: the budgets
// are the ledger's Book, and a grant is a record of the node's own journal.
package embedded
