package api

//go:generate sh -c "protoc -I . --go_out=. --go_opt=paths=source_relative --connect-go_out=. --connect-go_opt=paths=source_relative holo/v1/*.proto"
