;; A general task of ABI holo/1 to begin with: out[i] = values[index[i]].
(module
  ;; What is behind a handle. Offsets count elements; a status below 0 is a refusal:
  ;; -1 no such handle, -2 not its direction, -3 elements that it does not have, -4 more
  ;; bytes than it has left, -5 no whole elements, none, or more than 1 MiB.
  (import "holo" "len" (func $len (param $handle i32) (result i64)))
  (import "holo" "read" (func $read (param $handle i32) (param $offset i64) (param $to i32) (param $bytes i32) (result i32)))
  (import "holo" "write" (func $write (param $handle i32) (param $offset i64) (param $from i32) (param $bytes i32) (result i32)))
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

  ;; The descriptor $d: first index as i64 at 8, n at 16, parameters 28 and their
  ;; length 32, scratch 36 and its length 40.

  ;; task take: handle 0 reads an index of u64, handle 1 values of 64 bits, handle 2
  ;; writes the elements of the task of an array like the index. The status is that of
  ;; the first refusal.
  (func (export "holo_task_take") (param $d i32) (result i32)
    (local $n i32) (local $done i32) (local $chunk i32) (local $some i32)
    (local $index i32) (local $taken i32) (local $status i32)
    (local.set $n (i32.load offset=16 (local.get $d)))
    (local.set $index (i32.load offset=36 (local.get $d)))
    (local.set $chunk (i32.shr_u (i32.load offset=40 (local.get $d)) (i32.const 4)))
    (local.set $taken (i32.add (local.get $index) (i32.shl (local.get $chunk) (i32.const 3))))
    (if (i64.ne (call $len (i32.const 2)) (i64.extend_i32_u (local.get $n))) (then (return (i32.const 1))))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $done) (local.get $n)))
      (local.set $some (i32.sub (local.get $n) (local.get $done)))
      (if (i32.gt_u (local.get $some) (local.get $chunk)) (then (local.set $some (local.get $chunk))))
      (local.set $status (call $read (i32.const 0)
        (i64.add (i64.load offset=8 (local.get $d)) (i64.extend_i32_u (local.get $done)))
        (local.get $index) (i32.shl (local.get $some) (i32.const 3))))
      (if (i32.eqz (local.get $status)) (then
        (local.set $status (call $gather (local.get $taken) (local.get $index) (local.get $some)))))
      (if (i32.eqz (local.get $status)) (then
        (local.set $status (call $write (i32.const 2) (i64.extend_i32_u (local.get $done))
          (local.get $taken) (i32.shl (local.get $some) (i32.const 3))))))
      (if (local.get $status) (then (return (local.get $status))))
      (local.set $done (i32.add (local.get $done) (local.get $some)))
      (br $next)))
    (i32.const 0))

  ;; gather asks for values that follow each other at once.
  (func $gather (param $taken i32) (param $index i32) (param $some i32) (result i32)
    (local $run i32) (local $from i64) (local $status i32)
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $some)))
      (local.set $from (i64.load (local.get $index)))
      (local.set $run (i32.const 1))
      (block $whole (loop $more
        (br_if $whole (i32.ge_u (local.get $run) (local.get $some)))
        (br_if $whole (i64.ne
          (i64.load (i32.add (local.get $index) (i32.shl (local.get $run) (i32.const 3))))
          (i64.add (local.get $from) (i64.extend_i32_u (local.get $run)))))
        (local.set $run (i32.add (local.get $run) (i32.const 1)))
        (br $more)))
      (local.set $status (call $read (i32.const 1) (local.get $from)
        (local.get $taken) (i32.shl (local.get $run) (i32.const 3))))
      (if (local.get $status) (then (return (local.get $status))))
      (local.set $index (i32.add (local.get $index) (i32.shl (local.get $run) (i32.const 3))))
      (local.set $taken (i32.add (local.get $taken) (i32.shl (local.get $run) (i32.const 3))))
      (local.set $some (i32.sub (local.get $some) (local.get $run)))
      (br $next)))
    (i32.const 0)))
