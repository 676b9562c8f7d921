use super::*;
use crate::testing::refused;

#[test]
fn what_reaches_past_a_slice_is_refused() {
    let kernel = Kernel::of_level();
    let (width, values) = (kernel.columns, vec![1.0; 4 * kernel.columns]);
    // Three times this, and one more, wrap to nothing.
    let far = usize::MAX / 3;
    let run = |left: Left, right: Right, depth: Depth, stride: usize| {
        let mut out = [0.0; 16];
        let target = Target { data: &mut out, stride, rows: 4, columns: 1, add: false };
        kernel.run(left, right, depth, target);
        out
    };
    let refuse = |words: &str, left: Left, right: Right, depth: Depth, stride: usize| {
        refused(words, || {
            run(left, right, depth, stride);
        });
    };
    let left = |first, apart, step| Left { data: &values, starts: Starts::Even { first, apart }, step };
    let right = |stride| Right { data: &values, stride };
    let four = Depth::new(4);
    assert_eq!(run(left(0, 4, 1), right(width), four, 1)[..4], [4.0; 4]);
    refuse("the tile reaches past its output", left(0, 4, 1), right(width), four, far);
    refuse("the panel is too short", left(0, 4, 1), right(far), four, 1);
    let half = 1 << (usize::BITS / 2);
    let endless = Depth { blocks: half, runs: half, ..four };
    refuse("the panel is too short", left(0, 0, 0), right(width), endless, 1);
    for left in [left(0, far, 1), left(1, far, 1), left(usize::MAX, 1, 1), left(0, 4, far)] {
        refuse("the left factor is too short", left, right(width), four, 1);
    }
    let one = Depth::new(1);
    for depth in [Depth { blocks: 4, leap: far, ..one }, Depth { runs: 4, jump: far, ..one }] {
        refuse("the left factor is too short", left(1, 0, 1), right(width), depth, 1);
    }
}

#[test]
fn tiles_are_lower_where_higher_ones_would_be_empty() {
    let (kernel, body) = (Kernel::of_vectors(6, 16, plain::<false>), plain::<false> as Loop);
    let kernel = Kernel { fewer: Some((4, body)), ..kernel };
    let heights = [1, 4, 6, 8, 12, 16, 18, 32, 128].map(|rows| kernel.for_rows(rows).rows);
    assert_eq!(heights, [4, 4, 6, 4, 6, 4, 6, 4, 6]);
    assert_eq!(Kernel { fewer: None, ..kernel }.for_rows(8).rows, 6);
}
