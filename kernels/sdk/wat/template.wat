;; A kernel of ABI holo/1 to begin with: out = a * factor, and the sum of a
;; column of f64. Statuses: 0 done, 1 views, 2 parameters, 3 accumulator.
(module
  ;; To log a text of so many bytes for people, begin with this and call $log:
  ;; (import "holo" "log" (func $log (param $text i32) (param $size i32)))
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 64)) ;; where memory is free

  (func (export "holo_abi") (result i32) (i32.const 1))

  ;; holo_alloc gives the host memory that is never freed, 0 for none.
  (func (export "holo_alloc") (param $size i32) (param $align i32) (result i32)
    (local $at i64) (local $missing i64)
    (local.set $at (i64.mul (i64.div_u
      (i64.add (i64.extend_i32_u (global.get $top)) (i64.extend_i32_u (i32.sub (local.get $align) (i32.const 1))))
      (i64.extend_i32_u (local.get $align))) (i64.extend_i32_u (local.get $align))))
    (local.set $missing (i64.sub
      (i64.add (local.get $at) (i64.extend_i32_u (local.get $size)))
      (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))
    (if (i64.gt_s (local.get $missing) (i64.const 0)) (then
      (local.set $missing (i64.shr_u (i64.add (local.get $missing) (i64.const 65535)) (i64.const 16)))
      (if (i64.gt_u (local.get $missing) (i64.const 65536)) (then (return (i32.const 0))))
      (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $missing))) (i32.const -1)) (then (return (i32.const 0))))))
    (global.set $top (i32.wrap_i64 (i64.add (local.get $at) (i64.extend_i32_u (local.get $size)))))
    (i32.wrap_i64 (local.get $at)))

  ;; The descriptor $d: n at 16, inputs 20, outputs 24, parameters 28 and their
  ;; length 32, accumulator 44 and its length 48; views of 24 bytes from 56 on:
  ;; pointer at 0, type at 12 (10 is f64), at 14 as u16 how many elements before the
  ;; pointer, and behind those of the call, are there too.

  (func (export "holo_map_scale") (param $d i32) (result i32)
    (local $a i32) (local $end i32) (local $out i32) (local $factor f64)
    (if (i32.or (i32.or
        (i32.ne (i32.load offset=20 (local.get $d)) (i32.const 1))
        (i32.ne (i32.load offset=24 (local.get $d)) (i32.const 1)))
        (i32.or
        (i32.ne (i32.load8_u offset=68 (local.get $d)) (i32.const 10))
        (i32.ne (i32.load8_u offset=92 (local.get $d)) (i32.const 10))))
      (then (return (i32.const 1))))
    (if (i32.ne (i32.load offset=32 (local.get $d)) (i32.const 8)) (then (return (i32.const 2))))
    (local.set $factor (f64.load (i32.load offset=28 (local.get $d))))
    (local.set $a (i32.load offset=56 (local.get $d)))
    (local.set $out (i32.load offset=80 (local.get $d)))
    (local.set $end (i32.add (local.get $a) (i32.shl (i32.load offset=16 (local.get $d)) (i32.const 3))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $a) (local.get $end)))
      (f64.store (local.get $out) (f64.mul (f64.load (local.get $a)) (local.get $factor)))
      (local.set $a (i32.add (local.get $a) (i32.const 8)))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))
      (br $next)))
    (i32.const 0))

  ;; The accumulator of sum: count i64, total f64. All zeros is an empty one.

  (func (export "holo_red_sum") (param $d i32) (result i32)
    (local $a i32) (local $end i32) (local $acc i32) (local $total f64)
    (if (i32.or (i32.or
        (i32.ne (i32.load offset=20 (local.get $d)) (i32.const 1))
        (i32.ne (i32.load offset=24 (local.get $d)) (i32.const 0)))
        (i32.ne (i32.load8_u offset=68 (local.get $d)) (i32.const 10)))
      (then (return (i32.const 1))))
    (if (i32.ne (i32.load offset=48 (local.get $d)) (i32.const 16)) (then (return (i32.const 3))))
    (local.set $acc (i32.load offset=44 (local.get $d)))
    (local.set $total (f64.load offset=8 (local.get $acc)))
    (local.set $a (i32.load offset=56 (local.get $d)))
    (local.set $end (i32.add (local.get $a) (i32.shl (i32.load offset=16 (local.get $d)) (i32.const 3))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $a) (local.get $end)))
      (local.set $total (f64.add (local.get $total) (f64.load (local.get $a))))
      (local.set $a (i32.add (local.get $a) (i32.const 8)))
      (br $next)))
    (f64.store offset=8 (local.get $acc) (local.get $total))
    (i64.store (local.get $acc) (i64.add (i64.load (local.get $acc)) (i64.extend_i32_u (i32.load offset=16 (local.get $d)))))
    (i32.const 0))

  ;; comb sum adds the other accumulator, the only input.
  (func (export "holo_comb_sum") (param $d i32) (result i32)
    (local $acc i32) (local $other i32)
    (if (i32.ne (i32.load offset=48 (local.get $d)) (i32.const 16)) (then (return (i32.const 3))))
    (local.set $acc (i32.load offset=44 (local.get $d)))
    (local.set $other (i32.load offset=56 (local.get $d)))
    (i64.store (local.get $acc) (i64.add (i64.load (local.get $acc)) (i64.load (local.get $other))))
    (f64.store offset=8 (local.get $acc) (f64.add (f64.load offset=8 (local.get $acc)) (f64.load offset=8 (local.get $other))))
    (i32.const 0)))
