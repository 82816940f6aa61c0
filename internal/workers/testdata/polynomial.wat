;; A kernel of ABI holo/1 that computes more than it copies: a polynomial of
;; degree 16 of a column of f64 by Horner's rule, two elements at a time. Parameters:
;; 17 coefficients of f64, that of x^0 first. Statuses: 0 done, 1 views, 2 parameters.
(module
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

  ;; Of an odd number of elements the last turn has one more, which lies in what
  ;; the host leaves free to align views to 64 bytes.
  (func (export "holo_map_polynomial") (param $d i32) (result i32)
    (local $a i32) (local $end i32) (local $out i32) (local $c i32) (local $x v128) (local $y v128)
    (if (i32.or (i32.or
        (i32.ne (i32.load offset=20 (local.get $d)) (i32.const 1))
        (i32.ne (i32.load offset=24 (local.get $d)) (i32.const 1)))
        (i32.or
        (i32.ne (i32.load8_u offset=68 (local.get $d)) (i32.const 10))
        (i32.ne (i32.load8_u offset=92 (local.get $d)) (i32.const 10))))
      (then (return (i32.const 1))))
    (if (i32.ne (i32.load offset=32 (local.get $d)) (i32.const 136)) (then (return (i32.const 2))))
    (local.set $c (i32.load offset=28 (local.get $d)))
    (local.set $a (i32.load offset=56 (local.get $d)))
    (local.set $out (i32.load offset=80 (local.get $d)))
    (local.set $end (i32.add (local.get $a) (i32.shl (i32.load offset=16 (local.get $d)) (i32.const 3))))
    (loop $next
      (local.set $x (v128.load (local.get $a)))
      (local.set $y (v128.load64_splat offset=128 (local.get $c)))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=120 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=112 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=104 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=96 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=88 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=80 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=72 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=64 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=56 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=48 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=40 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=32 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=24 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=16 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=8 (local.get $c))))
      (local.set $y (f64x2.add (f64x2.mul (local.get $y) (local.get $x)) (v128.load64_splat offset=0 (local.get $c))))
      (v128.store (local.get $out) (local.get $y))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (br_if $next (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 16))) (local.get $end))))
    (i32.const 0)))
