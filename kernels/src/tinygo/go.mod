module flights

go 1.26
