// Asio and Beast are compiled here, once, instead of inline in every file that uses them.
#include <utility>

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
