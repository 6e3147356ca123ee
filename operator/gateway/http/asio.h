#pragma once

#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without it

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace stepdown::gateway {

namespace asio = boost::asio;

/// The data path is one thread that runs coroutines: what lives between two co_awaits needs no lock.
template <class T = void>
using Task = asio::awaitable<T>;

using SteadyTime = std::chrono::steady_clock::time_point;

}  // namespace stepdown::gateway
