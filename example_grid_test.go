package holocompute_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holocompute/holocompute"
)

// A column of a matrix, of every other row.
func ExampleArray_Grid() {
	ctx := context.Background()
	c, err := holocompute.Connect(ctx, holocompute.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	a, err := holocompute.Create[int32](ctx, c, "example/matrix", 4*3, holocompute.ArrayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Write(ctx, 0, []int32{0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32}); err != nil {
		log.Fatal(err)
	}
	m, err := a.Grid(4, 3)
	if err != nil {
		log.Fatal(err)
	}
	column := make([]int32, 2)
	if err := m.Read(ctx, column, holocompute.Slice{Count: 2, Step: 2}, holocompute.Slice{First: 1, Count: 1}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(column)
	// Output: [1 21]
}
