package gbdt

import (
	"fmt"
	"math"
	"strconv"
)

// xgboostTree is a tree as the file has it: one array a field, inner nodes and
// leaves in one numbering.
type xgboostTree struct {
	left, right, feature, defaultLeft, split []int32
	condition, gain, cover                   []float32
	// Categories of node catNodes[i]: categories[catFirst[i]:][:catCount[i]].
	categories, catNodes, catFirst, catCount []int32
	leafWidth, deleted                       string
}

// maxCategory is the first number that XGBoost does not take for a category.
const maxCategory = 1 << 24

func (t *xgboostTree) read(d document, key string) error {
	const limit = 4 * MaxLeaves // nodes, leaves, and those that pruning deleted
	switch key {
	case "left_children":
		return indices(d, limit, &t.left)
	case "right_children":
		return indices(d, limit, &t.right)
	case "split_indices":
		return indices(d, limit, &t.feature)
	case "default_left":
		return indices(d, limit, &t.defaultLeft)
	case "split_type":
		return indices(d, limit, &t.split)
	case "split_conditions":
		return numbers(d, limit, &t.condition)
	case "loss_changes":
		return numbers(d, limit, &t.gain)
	case "sum_hessian":
		return numbers(d, limit, &t.cover)
	case "categories":
		return indices(d, maxCategory, &t.categories)
	case "categories_nodes":
		return indices(d, limit, &t.catNodes)
	case "categories_segments":
		return indices(d, limit, &t.catFirst)
	case "categories_sizes":
		return indices(d, limit, &t.catCount)
	case "tree_param":
		return texts(d, map[string]*string{"size_leaf_vector": &t.leafWidth, "num_deleted": &t.deleted})
	}
	return d.skip()
}

// checkLengths makes every array that is indexed by node as long as the others.
func (t *xgboostTree) checkLengths() error {
	if t.leafWidth != "" && t.leafWidth != "0" && t.leafWidth != "1" {
		return fmt.Errorf("tree_param.size_leaf_vector=%.20s: vector leaves are not supported; train with multi_strategy=one_output_per_tree", t.leafWidth)
	}
	n := len(t.left)
	if n == 0 {
		return fmt.Errorf("left_children is empty; save the model again")
	}
	for _, a := range []struct {
		name string
		n    int
	}{{"right_children", len(t.right)}, {"split_indices", len(t.feature)}, {"default_left", len(t.defaultLeft)}, {"split_conditions", len(t.condition)}} {
		if a.n != n {
			return fmt.Errorf("%s has %d values, left_children %d", a.name, a.n, n)
		}
	}
	if len(t.split) != 0 && len(t.split) != n {
		return fmt.Errorf("split_type has %d values, left_children %d", len(t.split), n)
	}
	if len(t.catFirst) != len(t.catNodes) || len(t.catCount) != len(t.catNodes) {
		return fmt.Errorf("categories_nodes, _segments and _sizes have %d, %d and %d values", len(t.catNodes), len(t.catFirst), len(t.catCount))
	}
	return nil
}

// build makes the tree, its leaves times weight (dart's), and takes its bitsets
// off the words that are left.
func (t *xgboostTree) build(out *Tree, weight float32, wordsLeft *int) error {
	if err := t.checkLengths(); err != nil {
		return err
	}
	place, err := t.number(out)
	if err != nil {
		return err
	}
	sets, err := t.categorySets()
	if err != nil {
		return err
	}
	hasCover, hasGain := len(t.cover) == len(t.left), len(t.gain) == len(t.left)
	for id, at := range place {
		switch {
		case at == unplaced:
			continue
		case at < 0: // a leaf
			out.Leaves[^at] = float64(t.condition[id] * weight)
			if hasCover {
				out.LeafCover = append(out.LeafCover, float64(t.cover[id]))
			}
			continue
		}
		n := &out.Nodes[at]
		*n = Node{Feature: t.feature[id], Left: place[t.left[id]], Right: place[t.right[id]], Missing: MissingNaN, DefaultLeft: t.defaultLeft[id] != 0}
		if len(t.split) > 0 && t.split[id] == 1 {
			if err := t.setCategories(out, n, sets, id); err != nil {
				return err
			}
			if *wordsLeft -= int(n.EndWord - n.FirstWord); *wordsLeft < 0 {
				return fmt.Errorf("categories: the sets take more than %d words; number categories from 0 without gaps", MaxCategoryWords)
			}
		} else if n.Threshold, err = belowCondition(t.condition[id]); err != nil {
			return fmt.Errorf("split_conditions[%d]: %w", id, err)
		}
		if hasCover {
			out.NodeCover = append(out.NodeCover, float64(t.cover[id]))
		}
		if hasGain {
			out.Gain = append(out.Gain, float64(t.gain[id]))
		}
	}
	return nil
}

const unplaced = math.MinInt32

// number gives each node that the root reaches its place: of an inner node its
// number among those, of a leaf ^ that among leaves. The others must be those
// that pruning deleted.
func (t *xgboostTree) number(out *Tree) ([]int32, error) {
	place := make([]int32, len(t.left))
	for i := range place {
		place[i] = unplaced
	}
	reached := 0
	stack := []int32{0}
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if id < 0 || int(id) >= len(place) {
			return nil, fmt.Errorf("left_children, right_children: node %d is outside of the tree's %d", id, len(place))
		}
		if place[id] != unplaced {
			return nil, fmt.Errorf("left_children, right_children: node %d has two parents", id)
		}
		reached++
		if place[id] = -1; t.left[id] != -1 {
			place[id] = 0
			stack = append(stack, t.left[id], t.right[id])
		} else if t.right[id] != -1 {
			return nil, fmt.Errorf("right_children[%d] = %d, but there is no left child", id, t.right[id])
		}
	}
	if orphans := len(place) - reached; orphans > 0 && strconv.Itoa(orphans) != t.deleted {
		return nil, fmt.Errorf("left_children, right_children: %d nodes are not reached from the root, tree_param.num_deleted is %.20q", orphans, t.deleted)
	}
	nodes, leaves := int32(0), int32(0)
	for id := range place {
		switch place[id] {
		case 0:
			place[id] = nodes
			nodes++
		case -1:
			place[id] = ^leaves
			leaves++
		}
	}
	out.Nodes = make([]Node, nodes)
	out.Leaves = make([]float64, leaves)
	return place, nil
}

// categorySets is the place of each categorical node's set, by node.
func (t *xgboostTree) categorySets() (map[int32]int, error) {
	sets := make(map[int32]int, len(t.catNodes))
	total := 0
	for i, id := range t.catNodes {
		first, count := int(t.catFirst[i]), int(t.catCount[i])
		total += count // sets don't overlap, or a small file could be long work
		if first < 0 || count < 0 || first+count > len(t.categories) || total > len(t.categories) {
			return nil, fmt.Errorf("categories_segments[%d] = %d and categories_sizes[%d] = %d are outside of the %d categories", i, first, i, count, len(t.categories))
		}
		if _, twice := sets[id]; twice {
			return nil, fmt.Errorf("categories_nodes: node %d stands there twice", id)
		}
		sets[id] = i
	}
	return sets, nil
}

// setCategories: in XGBoost the categories of the set go right and all else left,
// so the children change places.
func (t *xgboostTree) setCategories(out *Tree, n *Node, sets map[int32]int, id int) error {
	at, ok := sets[int32(id)]
	if !ok {
		return fmt.Errorf("categories_nodes: node %d splits by category and has no set", id)
	}
	n.Categorical, n.Floor = true, true
	n.Left, n.Right, n.DefaultLeft = n.Right, n.Left, !n.DefaultLeft
	set := t.categories[t.catFirst[at]:][:t.catCount[at]]
	words := 0
	for _, c := range set {
		if c < 0 || c >= maxCategory {
			return fmt.Errorf("categories: %d of node %d is not a number from 0 to %d", c, id, maxCategory-1)
		}
		words = max(words, int(c)/32+1)
	}
	n.FirstWord, n.EndWord = int32(len(out.Categories)), int32(len(out.Categories)+words)
	out.Categories = append(out.Categories, make([]uint32, words)...)
	for _, c := range set {
		out.Categories[int(n.FirstWord)+int(c)/32] |= 1 << (c % 32)
	}
	return nil
}

// belowCondition brings x < c to x ≤ the float32 below c.
func belowCondition(c float32) (float32, error) {
	if c != c || math.IsInf(float64(c), -1) {
		return 0, fmt.Errorf("no value is below %v; train without such values", c)
	}
	return math.Nextafter32(c, float32(math.Inf(-1))), nil
}
